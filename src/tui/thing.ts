/** What an event is about: the thing that questions are asked of when nothing else is selected. */
import { paddrOf } from '../base/brand.js';
import { hex } from '../base/u64.js';
import { type Event, NO_FRAME } from '../events/kinds.js';
import type { Register } from '../isa/isa.js';
import type { Thing } from './state.js';

export function thingOf(e: Event): Thing | undefined {
  switch (e.kind) {
    case 'pte':
      return { kind: 'slot', space: e.space, at: paddrOf(e.table, e.offset), level: e.level };
    case 'adopt':
    case 'release':
      return { kind: 'frame', frame: e.table };
    case 'type':
    case 'typecount':
    case 'total':
    case 'pinned':
    case 'validated':
    case 'partial':
      return { kind: 'frame', frame: e.frame };
    case 'root':
      return e.new === NO_FRAME ? undefined : { kind: 'frame', frame: e.new };
    case 'm2p':
      return { kind: 'frame', frame: e.machine };
    case 'trap':
    case 'fill':
    case 'store':
      return { kind: 'address', at: e.at };
    default:
      return undefined;
  }
}
export function thingText(thing: Thing, registers: readonly Register[]): string {
  switch (thing.kind) {
    case 'slot':
      return `slot ${hex(thing.at)} (L${thing.level})`;
    case 'frame':
      return `frame ${hex(thing.frame)}`;
    case 'register':
      return registers[thing.number]?.name ?? `register ${thing.number}`;
    case 'address':
      return `address ${hex(thing.at)}`;
  }
}
