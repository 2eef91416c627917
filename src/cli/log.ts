/** rewalk log: events, a line each. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import { type Event, KIND_NAMES } from '../events/kinds.js';
import { eventJson, lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { parsePosition } from '../state/position.js';
import { kindsArgument } from './kinds.js';
import { fit, flushOut, json, out, paint } from './output.js';
import { countArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly kind?: string;
  readonly grep?: string;
  readonly limit?: number;
  readonly json?: true;
  readonly detail?: true;
  readonly follow?: true;
}

const FOLLOW_MS = 100;

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('[from]', 'first position', 'start')
    .argument('[to]', 'last position', 'end')
    .option('-k, --kind <kinds>', 'only these kinds, separated by commas')
    .option('-g, --grep <text>', 'only lines that contain this text')
    .option('-n, --limit <count>', 'stop after this many lines', countArgument)
    .option('-d, --detail', 'with the detail entries (steps, stores, TLB fills) the recording has')
    .option('-f, --follow', 'go on while the recording grows, until Ctrl-C')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      `
Kinds: ${KIND_NAMES.join(' ')}

  rewalk log run.rewalk --limit 20
  rewalk log run.rewalk '#48000' '#48211' --kind call,entry,pte
  rewalk log run.rewalk --kind console --json | jq -r .text`,
    )
    .action((file: string, from: string, to: string, options: Options) => run(() => log(file, from, to, options)));
};

/** Prints what passes the filters; returns how many lines that were. */
function printer(source: Source, options: Options): (e: Event, detail?: string) => boolean {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  return (e, detail) => {
    const line = lineOf(e, source.lexicon).replace(/^#\d+/, at => (detail === undefined ? at : detail));
    if (options.grep !== undefined && !line.includes(options.grep)) return left > 0;
    if (left <= 0) return false;
    if (options.json) json({ ...eventJson(e, source.lexicon), ...(detail === undefined ? {} : { seq: detail }) });
    else out(detail === undefined ? fit(line) : paint.dim(fit(line)));
    return --left > 0;
  };
}

/** Events first .. last - 1, chunk by chunk; chunks without an asked-for kind are not decoded. */
function* lines(
  source: Source,
  first: number,
  last: number,
  kinds: ReadonlySet<number> | undefined,
  options: Options,
  print: (e: Event, detail?: string) => boolean,
): Work<void> {
  for (let seq = first; seq < last; ) {
    const n = source.chunkOf(seq);
    const info = source.chunks[n]!;
    const end = Math.min(last, info.first + info.count);
    if (options.detail || !kinds || [...kinds].some(k => info.counts[k]! > 0)) {
      const block = source.chunk(n);
      for (; seq < end; seq++) {
        const i = seq - block.first;
        if ((!kinds || kinds.has(block.kind[i]!)) && !print(eventAt(block, i))) return;
        if (options.detail && !details(source, seq, kinds, print)) return;
      }
    }
    seq = end;
    yield { done: seq - first, total: last - first };
  }
}

/** The detail entries behind event seq, as #seq.1, #seq.2 ... */
function details(
  source: Source,
  seq: number,
  kinds: ReadonlySet<number> | undefined,
  print: (e: Event, detail?: string) => boolean,
): boolean {
  let sub = 0;
  for (const block of source.details(seq, seq + 1)) {
    for (let i = 0; i < block.count; i++) {
      if (anchorOf(block, i) !== seq) continue;
      sub++;
      if ((!kinds || kinds.has(block.kind[i]!)) && !print({ ...eventAt(block, i), cause: -1 }, `#${seq}.${sub}`))
        return false;
    }
  }
  return true;
}
/** The event of the main stream that detail entry i follows. */
const anchorOf = (block: Block, i: number): number => block.first + block.back[i]! - 1;

function log(file: string, from: string, to: string, options: Options): Promise<number> {
  const kinds = options.kind === undefined ? undefined : kindsArgument(options.kind);
  return withRecording(file, async source => {
    const print = printer(source, options);
    const first = Math.max(0, parsePosition(from, source).seq);
    const last = options.follow ? source.count : parsePosition(to, source).seq + 1;
    await work('reading', lines(source, first, last, kinds, options, print));
    if (options.follow) await follow(source, last, kinds, options, print);
    return 0;
  });
}

/** Looks for new events until Ctrl-C or until the writer has closed the file. */
async function follow(
  source: Source,
  from: number,
  kinds: ReadonlySet<number> | undefined,
  options: Options,
  print: (e: Event, detail?: string) => boolean,
): Promise<void> {
  let stopped = false;
  process.once('SIGINT', () => {
    stopped = true;
  });
  for (let seq = from; !stopped; ) {
    if (source.refresh()) {
      await work('reading', lines(source, seq, source.count, kinds, options, print));
      seq = source.count;
    } else if (source.closed) return;
    flushOut();
    await sleep(FOLLOW_MS);
  }
}
