/** The options and words that questions about a position share. */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Frame } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { hex } from '../base/u64.js';
import type { Event, Space } from '../events/kinds.js';
import { eventText } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { formatPosition, type Position, parsePosition } from '../state/position.js';
import { ticksOf } from '../views/at.js';
import type { Blame } from '../views/blame.js';
import { out, paint } from './output.js';
import { countArgument, frameArgument, spaceArgument } from './session.js';

export { frameText, permissionText, sizeText } from '../report/words.js';

export interface TableOptions {
  readonly space: Space;
  readonly role: 'kernel' | 'user';
  readonly root?: Frame;
  readonly vcpu: number;
}
/** Which tables: --space, --role, --root, --vcpu. */
export const tableOptions = (command: Command): Command =>
  command
    .option('-s, --space <space>', 'guest, shadow, master or host tables', spaceArgument, 'guest')
    .addOption(new Option('--role <role>', 'which loaded root').choices(['kernel', 'user']).default('kernel'))
    .option('-r, --root <frame>', 'frame of the root table, instead of the loaded one', frameArgument)
    .option('--vcpu <n>', 'of this processor', countArgument, 0);

/** A whole position; `what` does not go between events. */
export function wholePosition(text: string, source: Source, what: string): number {
  const at = parsePosition(text, source);
  if (at.sub !== undefined) throw new Trouble(`${what} at ${text}: state is known at whole events; use #${at.seq}`);
  return at.seq;
}
/** `at #12 @3456` */
export const placeText = (source: Source, at: Position): string =>
  `${formatPosition(at)}${at.seq >= 0 ? ` @${ticksOf(source, at.seq)}` : ''}`;
/** `#12 @3456`, or `never` for -1. */
export const whenText = (source: Source, seq: number): string =>
  seq < 0 ? 'never' : `#${seq} @${ticksOf(source, seq)}`;

/** An event and what it happened inside, with the stack of whichever has one. */
export function printBlame(source: Source, b: Blame): void {
  const line = (e: Event): string => `#${e.seq} @${e.ticks} ${eventText(e, source.lexicon)}`;
  out(line(b.event));
  for (const cause of b.causes) out(`  inside ${line(cause)}`);
  if (b.arrivedWithAdopt)
    out(paint.dim('  the value came with the table: a store before it was adopted wrote it, which no event recorded'));
  if (b.stackOf >= 0 && b.stackOf !== b.event.seq) out(paint.dim(`  stack at #${b.stackOf}:`));
  const lines = b.pc ? [b.pc, ...b.stack] : b.stack;
  for (const [n, s] of lines.entries())
    out(`  ${paint.blue(`${String(n).padStart(2)} ${hex(s.at).padStart(16, '0')} ${s.text}`)}`);
}
export const blameJson = (b: Blame, event: (e: Event) => unknown): unknown => ({
  event: event(b.event),
  causes: b.causes.map(event),
  pc: b.pc ? { at: `0x${hex(b.pc.at)}`, symbol: b.pc.text } : null,
  stack: b.stack.map(s => ({ at: `0x${hex(s.at)}`, symbol: s.text })),
  arrivedWithAdopt: b.arrivedWithAdopt,
});
