/** What holds a frame at its type: entries of live tables, the pin, the roots. As many as the type count says, or it is told. */
import { asFrame, type Frame, frameOf, offsetOf } from '../../../base/brand.js';
import { hex } from '../../../base/u64.js';
import type { Work } from '../../../base/work.js';
import type { Source } from '../../../recording/source.js';
import type { Holder } from '../../../rules/system.js';
import type { State } from '../../../state/state.js';
import { eventOf } from '../../../views/at.js';
import { frameAt } from '../../../views/frame.js';
import { type Mapper, mappersAt } from '../../../views/mappers.js';
import { rootAt } from '../../../views/slots.js';
import { TYPE } from '../names.js';
import { TYPE_NAMES } from '../typeword.js';
import { XEN_SLOTS } from './world.js';

const WRITABLE = 2n;
export const isTableType = (type: number): boolean => type >= TYPE.l1 && type <= TYPE.l4;
export const typeText = (type: number): string =>
  isTableType(type) ? `a page table of level ${type}` : type === TYPE.writable ? 'writable' : (TYPE_NAMES[type] ?? '?');

/** Everything that holds the type of `frame` just after event `seq`, where `state` is. */
export function* holdersOf(source: Source, state: State, frame: Frame, seq: number): Work<Holder[]> {
  const type = state.frameNumber('type', frame);
  const holders: Holder[] = [];
  for (const m of yield* mappersAt(source, 'guest', frame, seq))
    if (holds(state, type, m)) holders.push(entryHolder(source, m));
  const table = isTableType(type);
  if (table && state.frameNumber('pinned', frame)) {
    const since = frameAt(source, frame, seq).find(n => n.kind === 'pinned')?.since ?? -1;
    holders.push({ text: `it is pinned as ${typeText(type)}`, since, at: undefined, arrived: false });
  }
  if (type === TYPE.l4)
    for (const role of ['kernel', 'user'] as const) {
      const root = yield* rootAt(source, { space: 'guest', role }, seq);
      if (root.frame === frame)
        holders.push({
          text: `it is loaded as the ${role}’s base pointer`,
          since: root.since,
          at: undefined,
          arrived: false,
        });
    }
  return holders;
}

/** Whether an entry needs the type; those of tables that are not validated, and Xen's own, hold nothing. */
function holds(state: State, type: number, m: Mapper): boolean {
  const table = frameOf(m.at);
  if (state.frameNumber('type', table) !== m.level || !state.frameNumber('validated', table)) return false;
  const slot = offsetOf(m.at) / 8;
  if (m.level === 4 && slot >= XEN_SLOTS.from && slot < XEN_SLOTS.to) return false;
  if (type === TYPE.writable) return m.level === 1 && (m.value & WRITABLE) !== 0n;
  return isTableType(type) && m.level > 1;
}
function entryHolder(source: Source, m: Mapper): Holder {
  const slot = offsetOf(m.at) / 8;
  const verb = m.level > 1 ? 'names it as a table' : m.value & WRITABLE ? 'maps it writable' : 'maps it read-only';
  return {
    text: `entry ${slot} of the L${m.level} table in frame ${hex(frameOf(m.at))} ${verb}: ${hex(m.value)} ${m.flags}`,
    since: m.since,
    at: m.at,
    arrived: m.since >= 0 && eventOf(source, m.since).kind === 'adopt',
  };
}
export const frameText = (state: State, frame: Frame): string => {
  const guest = state.guestFrame(frame);
  return `frame ${hex(frame)}${guest === 0xffff_ffff ? '' : ` (guest frame ${hex(guest)})`}`;
};
export const frameOfValue = (value: bigint): Frame => asFrame(Number((value >> 12n) & 0xff_ffff_ffffn) >>> 0);
