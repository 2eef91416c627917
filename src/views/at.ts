/** Small answers that many views need: one event by its number, its ticks, who caused it. */
import { type Block, causeAt, eventAt } from '../events/block.js';
import type { Event } from '../events/kinds.js';
import type { Source } from '../recording/source.js';

/** The block that holds event `seq`, and where in it. */
export function locate(source: Source, seq: number): { block: Block; i: number } {
  const block = source.chunk(source.chunkOf(seq));
  return { block, i: seq - block.first };
}
/** Event `seq` as an object. */
export function eventOf(source: Source, seq: number): Event {
  const { block, i } = locate(source, seq);
  return eventAt(block, i);
}
export const ticksOf = (source: Source, seq: number): number => {
  const { block, i } = locate(source, seq);
  return block.ticks[i]!;
};

/** Causes are earlier events, so a chain ends; a hostile one is cut here. */
const CHAIN_MAX = 64;
/** The event that caused `seq`, the one that caused that ..., innermost first; without `seq` itself. */
export function causesOf(source: Source, seq: number): Event[] {
  const out: Event[] = [];
  let at = seq;
  while (out.length < CHAIN_MAX) {
    const { block, i } = locate(source, at);
    const cause = causeAt(block, i);
    if (cause < 0 || cause >= at) break;
    out.push(eventOf(source, cause));
    at = cause;
  }
  return out;
}
