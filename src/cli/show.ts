/** rewalk show: one event in full. */
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import { causeAt, eventAt } from '../events/block.js';
import type { Event } from '../events/kinds.js';
import { eventJson, JSON_VERSION, lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { blameEvent } from '../views/blame.js';
import { registersAt } from '../views/registers.js';
import { blameJson, printBlame, wholePosition } from './ask.js';
import { fit, json, out, paint } from './output.js';
import { registersJson, registersText } from './regs.js';
import { withRecording } from './session.js';
import type { Verb } from './verb.js';

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('<position>', 'the event, like #48211')
    .option('--json', 'as one JSON object')
    .addHelpText('after', "\n  rewalk show run.rewalk '#48211'")
    .action((file: string, position: string, options: { json?: true }) => run(() => show(file, position, options)));
};

/** Effects are looked for this far behind the event, and at most this many are shown. */
const LOOK_AHEAD = 65_536;
const EFFECTS_SHOWN = 40;

/** Events whose cause is `seq`, in order: the events right behind it, since effects follow their cause closely. */
function effectsOf(source: Source, seq: number): { shown: Event[]; more: number } {
  const shown: Event[] = [];
  let more = 0;
  const end = Math.min(source.count, seq + 1 + LOOK_AHEAD);
  for (let at = seq + 1; at < end; ) {
    const block = source.chunk(source.chunkOf(at));
    for (let i = at - block.first; i < block.count && block.first + i < end; i++, at++) {
      if (causeAt(block, i) !== seq) continue;
      if (shown.length < EFFECTS_SHOWN) shown.push(eventAt(block, i));
      else more++;
    }
  }
  return { shown, more };
}

const show = (file: string, position: string, options: { json?: true }): Promise<number> =>
  withRecording(file, async source => {
    const seq = wholePosition(position, source, 'show');
    if (seq < 0) throw new Trouble(`${file}: position ${position}: no event has happened there yet; the first is #0`);
    const story = blameEvent(source, seq);
    const effects = effectsOf(source, seq);
    const registers = registersAt(source, { seq }, story.event.vcpu);
    const event = (e: Event): unknown => eventJson(e, source.lexicon);
    if (options.json) {
      json({
        v: JSON_VERSION,
        ...(blameJson(story, event) as object),
        effects: effects.shown.map(event),
        moreEffects: effects.more,
        registers: registersJson(registers),
      });
      return 0;
    }
    printBlame(source, story);
    if (effects.shown.length > 0) out(paint.bold('\ncaused'));
    for (const e of effects.shown) out(fit(`  ${lineOf(e, source.lexicon).replace(/ <#\d+$/, '')}`));
    if (effects.more > 0) out(`  and ${effects.more} more within ${LOOK_AHEAD} events`);
    if (registers.length > 0) out(paint.bold('\nregisters'));
    for (const line of registersText(source, registers, seq)) out(line);
    return 0;
  });
