/** rewalk blame: who last wrote this, and on whose behalf. */
import { type Command, Option } from 'commander';
import { asFrame, asPaddr, asVaddr, type Paddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { hex, hex16, parseHex } from '../base/u64.js';
import type { Work } from '../base/work.js';
import { type Event, FRAME_KINDS, type FrameKind } from '../events/kinds.js';
import { eventJson, JSON_VERSION } from '../events/text.js';
import { isaOf } from '../isa/index.js';
import type { Source } from '../recording/source.js';
import { type Blame, blameFrame, blameRegister, blameSlot, blameTable, blameVaddr } from '../views/blame.js';
import { findOrigin, rerunFor } from './again.js';
import { blameJson, printBlame, type TableOptions, tableOptions, wholePosition } from './ask.js';
import { originJson, originText } from './origin.js';
import { json, out } from './output.js';
import { countArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';
import { walkText } from './walk.js';

type Options = TableOptions & {
  readonly count: number;
  readonly number: FrameKind;
  readonly rerun: boolean;
  readonly json?: true;
};

export const define: Verb['define'] = (command: Command, run): void => {
  tableOptions(command)
    .argument('<file>', 'recording')
    .argument('<what>', 'an address, slot:PHYSICAL, table:FRAME, frame:FRAME or reg:NAME')
    .argument('[position]', 'as of when', 'end')
    .option('-n, --count <n>', 'and so many writes further back', countArgument, 1)
    .addOption(new Option('--number <kind>', 'for a frame: which of its numbers').choices(FRAME_KINDS).default('type'))
    .option('--no-rerun', 'do not run again to find the store of an entry that came with its table')
    .option('--json', 'one JSON object a write')
    .addHelpText(
      'after',
      `
Exit code: 0 found, 1 nothing ever wrote it.

  rewalk blame run.rewalk 602000                     the entry that maps this address
  rewalk blame run.rewalk slot:1005010 '#300' -n 3   an entry by its physical byte address, three writes back
  rewalk blame run.rewalk frame:b1d89 --number pinned
  rewalk blame run.rewalk reg:cr3`,
    )
    .action((file: string, what: string, position: string, options: Options) =>
      run(() => blame(file, what, position, options)),
    );
};

/** Answers for one thing: the last write before an event. */
type Ask = (before: number) => Work<Answer | undefined>;
/** Of an entry also what was written, and where. */
type Answer = Blame & { readonly value?: bigint; readonly at?: Paddr };

// biome-ignore lint/correctness/useYield: short answers take the same way as long ones
function* answered<T>(answer: T): Work<T> {
  return answer;
}

function askFor(source: Source, what: string, options: Options): Ask {
  const [, kind, name = ''] = /^(slot|table|frame|reg):(.+)$/.exec(what) ?? [];
  if (kind === 'reg') {
    const number = isaOf(source.header.isa)?.registers.findIndex(r => r.name === name.toLowerCase()) ?? -1;
    if (number < 0) throw new Trouble(`blame: ${source.header.isa} has no register ${name}`);
    return before => answered(blameRegister(source, options.vcpu, number, before));
  }
  const value = parseHex(kind ? name : what);
  if (value === undefined)
    throw new Trouble(`blame: ${what} is neither an address nor slot:, table:, frame: or reg: of something`);
  if (kind === undefined) return before => vaddr(source, asVaddr(value), before, options);
  const limit = kind === 'slot' ? 1n << 44n : 0xffff_ffffn;
  if (value >= limit) throw new Trouble(`blame: ${what}: beyond all memory`);
  const n = Number(value);
  if (kind === 'slot') return before => answered(blameSlot(source, options.space, asPaddr(n), before));
  if (kind === 'table') return before => answered(blameTable(source, options.space, asFrame(n), before));
  return before => answered(blameFrame(source, options.number, asFrame(n), before));
}

/** An address: its walk is shown, and the last write of the entry where the walk ends. */
function* vaddr(
  source: Source,
  at: ReturnType<typeof asVaddr>,
  before: number,
  options: Options,
): Work<Answer | undefined> {
  const { walk } = yield* blameVaddr(source, at, before, options);
  const last = walk.steps.at(-1);
  if (!options.json) {
    out(`${hex16(at)} before #${before}`);
    for (const line of walkText(source, walk)) out(line);
  }
  return last ? blameSlot(source, options.space, last.slot, before) : undefined;
}

const blame = (file: string, what: string, position: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const ask = askFor(source, what, options);
    let before = wholePosition(position, source, 'blame') + 1;
    let found = 0;
    for (; found < options.count; found++) {
      const b = await work('looking back', ask(before));
      if (!b) break;
      const origin =
        b.arrivedWithAdopt && b.at !== undefined
          ? await findOrigin(
              source,
              options.space,
              b.at,
              b.event.seq,
              options.rerun ? await rerunFor(source) : '--no-rerun was given',
            )
          : undefined;
      if (options.json)
        json({
          v: JSON_VERSION,
          ...(blameJson(b, (e: Event) => eventJson(e, source.lexicon)) as object),
          ...(b.value === undefined ? {} : { value: `0x${hex(b.value)}` }),
          ...(origin ? { origin: originJson(origin) } : {}),
        });
      else {
        printBlame(source, b);
        for (const line of origin ? originText(source, origin) : []) out(`  ${line}`);
      }
      before = b.event.seq;
    }
    if (found < options.count && !options.json)
      out(found === 0 ? 'no recorded event wrote it' : 'nothing wrote it before that');
    return found > 0 ? 0 : 1;
  });
