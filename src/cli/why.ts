/** rewalk why: for a refusal or the end of a run, what held the frame, who made it so, and what would have had to come first. */
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import { hex } from '../base/u64.js';
import type { Event } from '../events/kinds.js';
import { eventJson, eventText, harmless, JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { RULES } from '../rules/registry.js';
import type { Holder, Why } from '../rules/system.js';
import { causesOf, eventOf } from '../views/at.js';
import { blameEvent } from '../views/blame.js';
import type { Origin } from '../views/stores.js';
import { type StackLine, stackOf } from '../views/symbols.js';
import { findOrigin, rerunFor } from './again.js';
import { blameJson, whenText, wholePosition } from './ask.js';
import { originJson, originText, stackText } from './origin.js';
import { json, out, paint } from './output.js';
import { needEvents, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly rerun: boolean;
  readonly json?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('[position]', 'an event of what failed (default: what the run ended with)')
    .option('--no-rerun', 'only what the recording says, without running anything again')
    .option('--json', 'as one JSON object')
    .addHelpText(
      'after',
      `
Without a position: the first broken rule of the system, else the last operation on page tables that was refused, else the
fault the guest could not handle. An entry that came with its table is traced to the store that wrote it: in the detail of the
recording, or by running the stretch again.
Exit code: 0 something failed and is explained, 1 nothing failed.

  rewalk why run.rewalk
  rewalk why run.rewalk '#18787' --json | jq .holders`,
    )
    .action((file: string, position: string | undefined, options: Options) => run(() => why(file, position, options)));
};

/** A holder with the event that made it so, and where its entry came from. */
interface Told {
  readonly holder: Holder;
  readonly origin: Origin | undefined;
}

const why = (file: string, position: string | undefined, options: Options): Promise<number> =>
  withRecording(file, async source => {
    needEvents(source);
    const rules = RULES.find(r => r.id === source.header.system);
    if (!rules?.why)
      throw new Trouble(
        `${file}: nothing is known of why ${source.header.system} refuses; it is of ${RULES.filter(r => r.why).map(r => r.id)}`,
      );
    const seq = position === undefined ? undefined : wholePosition(position, source, 'why');
    if (seq === -1) throw new Trouble(`${file}: position ${position}: no event has happened there yet`);
    const found = await work('looking for the reason', rules.why(source, seq));
    if (!found) {
      if (options.json) json({ v: JSON_VERSION, failed: false });
      else
        out(
          seq === undefined
            ? 'nothing was refused, no rule is broken, and the run ended as its guest wanted'
            : `nothing failed at ${position} or before it`,
        );
      return 1;
    }
    const rerun = options.rerun ? await rerunFor(source) : '--no-rerun was given';
    const told: Told[] = [];
    for (const holder of found.holders) {
      const arrived = holder.arrived && holder.at !== undefined;
      told.push({
        holder,
        origin: arrived ? await findOrigin(source, 'guest', holder.at!, holder.since, rerun) : undefined,
      });
    }
    if (options.json) printJson(source, found, told);
    else print(source, found, told);
    return 0;
  });

/** Where an operation was queued, if it was an entry of a batch that says so; else where the guest was. */
function guestStack(source: Source, seq: number): { readonly where: string; readonly stack: readonly StackLine[] } {
  const queued = [eventOf(source, seq), ...causesOf(source, seq)].find(e => e.kind === 'entry' && e.stack !== 0);
  if (queued?.kind === 'entry')
    return { where: `queued at @${queued.queued} by`, stack: stackOf(source, queued.stack) };
  const { pc, stack } = blameEvent(source, seq);
  return { where: 'by', stack: pc ? [pc, ...stack] : stack };
}

function print(source: Source, found: Why, told: readonly Told[]): void {
  out(paint.bold(`${found.what} ${paint.dim(`at ${whenText(source, found.seq)}`)}`));
  for (const m of found.messages) out(`  ${harmless(m.text)} ${paint.dim(`#${m.seq}`)}`);
  for (const line of found.because) out(`  ${line}`);
  const asked = guestStack(source, found.seq);
  if (told.every(t => t.holder.since !== found.seq)) {
    out(`  ${asked.where === 'by' ? 'the guest was at' : asked.where}`);
    for (const line of stackText(asked.stack)) out(`  ${line}`);
  }
  if (told.length > 0) out(paint.bold(`\n${found.heading}`));
  for (const t of told) printHolder(source, t);
  if (found.before.length > 0) out(paint.bold('\nwhat would have had to come first'));
  for (const line of found.before) out(`  ${line}`);
  if (found.after.length > 0) out(paint.bold('\nwhat came of it'));
  for (const a of found.after) out(`  #${a.seq} ${a.text}`);
}
function printHolder(source: Source, { holder, origin }: Told): void {
  out(`  ${holder.text}`);
  if (holder.since < 0) {
    out(paint.dim('    no recorded event wrote it'));
    return;
  }
  const event = eventOf(source, holder.since);
  out(`    ${origin ? 'in force since' : 'since'} #${event.seq} @${event.ticks} ${briefly(source, event)}`);
  for (const cause of causesOf(source, event.seq))
    out(paint.dim(`      inside #${cause.seq} ${eventText(cause, source.lexicon)}`));
  const { where, stack } = guestStack(source, holder.since);
  if (!origin) out(`    ${where}`);
  if (!origin) for (const line of stackText(stack)) out(`    ${line}`);
  if (origin) for (const line of originText(source, origin)) out(`    ${line}`);
}
/** A table's entries are not listed. */
const briefly = (source: Source, e: Event): string =>
  e.kind === 'adopt' ? `adopt table=${hex(e.table)} level=${e.level}` : eventText(e, source.lexicon);

function printJson(source: Source, found: Why, told: readonly Told[]): void {
  const event = (e: Event): unknown => eventJson(e, source.lexicon);
  const stack = (seq: number): unknown =>
    guestStack(source, seq).stack.map(s => ({ at: `0x${hex(s.at)}`, symbol: s.text }));
  json({
    v: JSON_VERSION,
    failed: true,
    ...found,
    stack: stack(found.seq),
    holders: told.map(({ holder, origin }) => ({
      ...holder,
      at: holder.at === undefined ? null : `0x${hex(holder.at)}`,
      made: holder.since < 0 ? null : (blameJson(blameEvent(source, holder.since), event) as object),
      stack: holder.since < 0 ? [] : stack(holder.since),
      origin: origin ? originJson(origin) : null,
    })),
  });
}
