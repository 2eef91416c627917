/** rewalk diff: what does the second recording do otherwise than the first? */
import type { Command } from 'commander';
import { compareRecordings } from '../compare/recordings.js';
import { compareAcross } from '../compare/spaces.js';
import { openRecording } from '../recording/reader.js';
import type { Source } from '../recording/source.js';
import { diffReport } from '../report/diff.js';
import { wholePosition } from './ask.js';
import { flushOut, json, out } from './output.js';
import {
  contextArgument,
  type FormatOptions,
  formatOptions,
  type IgnoreOptions,
  ignoredOf,
  ignoreOptions,
  writeReport,
} from './report.js';
import { work } from './session.js';
import type { Verb } from './verb.js';

interface Options extends FormatOptions, IgnoreOptions {
  readonly first?: true;
  readonly context: number;
  readonly state?: string;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command.argument('<a>', 'recording').argument('<b>', 'another one');
  ignoreOptions(command)
    .option('-1, --first', 'stop at the first difference')
    .option('-U, --context <events>', 'events that are the same, around each difference', contextArgument, 3)
    .option('-S, --state <position>', 'compare the address spaces at this moment of A, and the same moment of B');
  formatOptions(command)
    .addHelpText(
      'after',
      `
Two runs of one guest, of two builds of it, or of a good and a bad one. Frames may have other numbers in B as long as each
frame of A is one frame of B; ticks, registers and what lies between two builds (addresses in functions) make no difference.
Exit code, as diff(1): 0 the same, 1 different, 2 trouble.

  rewalk diff good.rewalk bad.rewalk
  rewalk diff good.rewalk bad.rewalk --first --context 10
  rewalk diff base.rewalk head.rewalk --ignore console,trap.error,function:printk,path:walker
  rewalk diff good.rewalk bad.rewalk --state '#48211'`,
    )
    .action((a: string, b: string, options: Options) => run(() => diff(a, b, options)));
};

/** A comparison goes through both once: old chunks are not asked for again. */
const CACHE_BYTES = 2 ** 25;

async function diff(fileA: string, fileB: string, options: Options): Promise<number> {
  const ignored = ignoredOf(options);
  const a = openRecording(fileA, { cacheBytes: CACHE_BYTES });
  try {
    const b = openRecording(fileB, { cacheBytes: CACHE_BYTES });
    try {
      for (const s of [a, b])
        if (s.damage)
          process.stderr.write(
            `rewalk: ${s.name}: damaged at byte ${s.damage.offset}: ${s.damage.reason}; using the ${s.count} events before it\n`,
          );
      if (options.state !== undefined) return await states(a, b, options.state, options);
      const found = await work('comparing', compareRecordings(a, b, { ignored, first: options.first }));
      const report = await work('reporting', diffReport(a, b, found, { context: options.context, ignored }));
      writeReport(report, options);
      return report.findings.length > 0 ? 1 : 0;
    } finally {
      b.close();
    }
  } finally {
    a.close();
    flushOut();
  }
}

/** The address spaces of both at one moment, by address and permissions: frames are each run's own. */
async function states(a: Source, b: Source, position: string, options: Options): Promise<number> {
  const moment = wholePosition(position, a, 'diff --state');
  const { moment: both } = await work('comparing', compareRecordings(a, b, { ignored: ignoredOf(options), moment }));
  const seqs = both ?? { a: moment, b: moment };
  const found = await work('walking', compareAcross(a, seqs.a, b, seqs.b));
  if (options.json) {
    for (const d of found)
      json({ v: 1, verb: 'diff', what: 'range', ...d, from: `0x${d.from.toString(16)}`, bytes: Number(d.bytes) });
    json({ v: 1, verb: 'diff', what: 'sum', a: seqs.a, b: seqs.b, found: found.length });
  } else {
    out(`A at #${seqs.a}, B at #${seqs.b}`);
    for (const d of found)
      out(`${d.sign} ${d.from.toString(16).padStart(16, '0')} ${d.bytes / 1024n}K  ${d.before} -> ${d.after}`);
    out(found.length === 0 ? 'the same address space' : `${found.length} ranges differ`);
  }
  flushOut();
  return found.length > 0 ? 1 : 0;
}
