/** rewalk export: a recording for other tools: Parquet for SQL, a trace for the Perfetto UI, JSON for everything else. */
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { writeLines } from '../export/file.js';
import type { Source } from '../recording/source.js';
import { parsePosition } from '../state/position.js';
import { kindsArgument } from './kinds.js';
import { flushOut, out } from './output.js';
import { withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly parquet?: string;
  readonly perfetto?: string;
  readonly json?: true | string;
  readonly kind?: ReadonlySet<number>;
  readonly detail?: true;
  readonly as?: string;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('[from]', 'first position', 'start')
    .argument('[to]', 'last position', 'end')
    .option('--parquet <dir>', 'a Parquet table for each kind of event, under this folder')
    .option('--perfetto <file>', 'a trace for the Perfetto UI: calls, batches, entries and traps, nested; - for stdout')
    .option('--json [file]', 'one JSON object a line: every event, every call stack once')
    .option('-k, --kind <kinds>', 'only these kinds, separated by commas (not for a trace)', kindsArgument)
    .option('-d, --detail', 'with the instructions, stores and TLB fills the recording has (Parquet)')
    .option('--as <name>', 'what the recording is called among others in the folder (Parquet)')
    .addHelpText(
      'after',
      `
Tables are folders, DIR/pte/recording=NAME/pte.parquet, so that any number of recordings in one folder are one table to
DuckDB, Spark, Trino and ClickHouse; docs/export.md has the columns and queries. A file is there when it is whole: Ctrl-C
leaves none.

  rewalk export boot.rewalk --parquet runs
  rewalk export boot.rewalk --parquet runs --kind pte,call,entry --as pull-4711
  rewalk export boot.rewalk 50% 60% --perfetto boot.json
  rewalk export boot.rewalk --json | jq -c 'select(.kind == "flush")'`,
    )
    .action((file: string, from: string, to: string, options: Options) =>
      run(() => exportVerb(file, from, to, options)),
    );
};

const exportVerb = (file: string, from: string, to: string, options: Options): Promise<number> => {
  const { parquet, perfetto, json } = options;
  if ([parquet, perfetto, json].filter(f => f !== undefined).length !== 1)
    throw new Trouble('export: say which: --parquet DIR, --perfetto FILE or --json');
  if (parquet === undefined && (options.detail || options.as !== undefined))
    throw new Trouble('export: --detail and --as go with --parquet');
  if (perfetto !== undefined && options.kind) throw new Trouble('export: --kind does not go with --perfetto');
  return withRecording(file, async source => {
    const range = {
      from: Math.max(0, parsePosition(from, source).seq),
      to: Math.max(0, parsePosition(to, source).seq + 1),
    };
    if (parquet !== undefined) return toParquet(source, parquet, range, options);
    if (perfetto !== undefined) {
      const { exportPerfetto } = await import('../export/perfetto.js');
      return lines(perfetto, 'slices', put => exportPerfetto(source, range, put));
    }
    const { exportJson } = await import('../export/json.js');
    return lines(json === true ? '-' : json!, 'events', put =>
      exportJson(source, { ...range, kinds: options.kind }, put),
    );
  });
};

async function toParquet(
  source: Source,
  dir: string,
  range: { from: number; to: number },
  { kind, detail, as }: Options,
): Promise<number> {
  const { exportParquet } = await import('../export/parquet.js');
  const chain = source.chunks.at(-1)?.chain ?? '';
  const whole = range.from === 0 && range.to === source.count;
  // The same run has the same name, another one another.
  const name =
    as ?? `${source.header.guest}-${chain.slice(0, 12) || 'empty'}${whole ? '' : `-${range.from}-${range.to}`}`;
  const all = { dir, name, ...range, kinds: kind, detail: detail ?? false, chain };
  const { tables, events, bytes } = await work('exporting', exportParquet(source, all));
  process.stderr.write(
    `rewalk: ${events} events in ${tables} tables, ${bytes} bytes, in ${dir} as recording=${name}\n`,
  );
  return 0;
}

/** Lines to a file, or to stdout. */
async function lines(to: string, what: string, make: (put: (line: string) => void) => Work<number>): Promise<number> {
  if (to === '-') {
    await work('exporting', make(out));
    flushOut();
    return 0;
  }
  const { count, bytes } = await work('exporting', writeLines(to, make));
  process.stderr.write(`rewalk: ${count} ${what}, ${bytes} bytes in ${to}\n`);
  return 0;
}
