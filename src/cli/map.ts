/** rewalk map: an address space as ranges, or what changed in it. */
import type { Command } from 'commander';
import type { Frame } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { hex } from '../base/u64.js';
import type { Side } from '../compare/moments.js';
import { NO_FRAME } from '../events/kinds.js';
import { JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import type { State } from '../state/state.js';
import { LIMITS, type Limits, tablesAt } from '../state/tables-at.js';
import { rootOfProcess } from '../views/process.js';
import { rootAt } from '../views/slots.js';
import { regionNamesOfPages, spaceMap, spaceRuns } from '../views/spaces.js';
import { needFormat } from '../views/walk.js';
import { placeText, type TableOptions, tableOptions, wholePosition } from './ask.js';
import { json, out, outBytes, paint } from './output.js';
import { pagesText, RangeLines } from './range-lines.js';
import { countArgument, frameArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

export type Options = TableOptions & {
  readonly diff?: string;
  readonly diffRoot?: Frame;
  readonly process?: number;
  readonly diffProcess?: number;
  readonly frames?: true;
  readonly json?: true;
};

export type Asked = TableOptions & Pick<Options, 'process'>;

export const define: Verb['define'] = (command: Command, run): void => {
  tableOptions(command)
    .argument('<file>', 'recording')
    .argument('[position]', 'when', 'end')
    .option('-D, --diff <position>', 'what is different at this other position')
    .option(
      '--diff-root <frame>',
      'compare with the address space under this root (at --diff, or at the same position)',
      frameArgument,
    )
    .option('-p, --process <pid>', 'of this process of the guest, instead of the one that runs', countArgument)
    .option('--diff-process <pid>', 'compare with this process (at --diff, or at the same position)', countArgument)
    .option('-f, --frames', 'with target frames, ranges split where they do not follow each other')
    .option('--json', 'one JSON object a range')
    .addHelpText(
      'after',
      `
Ranges read like Linux's page-table dump. A comparison has + for what appeared, - for what went, ~ for what changed,
each with the event that last wrote it, and exits with 1 if there is any difference.

  rewalk map run.rewalk 50%
  rewalk map run.rewalk '#1200' --diff '#1300'
  rewalk map run.rewalk end --root 1a3 --diff-root 2b7     two processes at one moment
  rewalk map boot.rewalk 90% --process 1 --diff-process 57     what fork shares, and what each has written to since`,
    )
    .action((file: string, position: string, options: Options) => run(() => map(file, position, options)));
};

const map = (file: string, position: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const seq = wholePosition(position, source, 'map');
    return options.diff !== undefined || options.diffRoot !== undefined || options.diffProcess !== undefined
      ? (await import('./map-diff.js')).diff(source, seq, options)
      : ranges(source, seq, options);
  });

/** The tables at a position: read where somebody looks or, where all there is to read is too much, folded. */
export async function tablesOf(source: Source, seq: number, limits: Limits = LIMITS): Promise<State> {
  const tables = await work('going there', tablesAt(source, seq, limits));
  if (tables) return tables;
  const { createTimeline } = await import('../state/timeline.js');
  return work('going there', createTimeline(source, { tablesOnly: true }).seek(seq));
}

export async function rootOf(source: Source, seq: number, options: Asked): Promise<Side['root']> {
  if (options.root !== undefined) return options.root;
  if (options.process !== undefined)
    return work('looking for the process', rootOfProcess(source, options.space, options.process, seq));
  const root = await work('looking for the root', rootAt(source, options, seq));
  if (root.frame === NO_FRAME)
    throw new Trouble(
      `${source.name}: no ${options.space} root table is loaded at ${placeText(source, { seq })}; name one with --root`,
    );
  return { at: root.at };
}
export const rootText = (root: Side['root']): string =>
  hex(typeof root === 'number' ? root : Math.floor(root.at / 4096));

async function ranges(source: Source, seq: number, options: Options): Promise<number> {
  const format = needFormat(source, options.space);
  const root = await rootOf(source, seq, options);
  const state = await tablesOf(source, seq);
  const limits = options.frames ? { frames: true } : {};
  if (options.json) {
    const all = spaceMap(state, options.space, format, root, source.lexicon, limits);
    for (const r of (await work('walking tables', all)).ranges)
      json({
        v: JSON_VERSION,
        from: `0x${hex(r.from)}`,
        bytes: `0x${hex(r.bytes)}`,
        level: r.level,
        ...r.permissions,
        ...(options.frames ? { frame: hex(r.frame) } : {}),
        region: r.region ?? null,
      });
    return 0;
  }
  const found = await work('walking tables', spaceRuns(state, options.space, format, root, limits));
  const pages = found.runs.reduce((sum, run) => sum + run.pages, 0);
  out(
    `root ${rootText(root)} at ${placeText(source, { seq })}: ${pagesText(pages)} mapped through ${found.tables} tables`,
  );
  const lines = new RangeLines(format, options.frames);
  const regionOf = regionNamesOfPages(source.lexicon, format);
  let region: string | undefined;
  for (const run of found.runs) {
    const now = regionOf(run.page);
    if (now !== region) out(paint.bold(`---[ ${(region = now) ?? ''} ]---`));
    outBytes(lines.bytes, lines.write(run));
  }
  if (found.truncated) out('... cut: more entries than anybody reads');
  return 0;
}
