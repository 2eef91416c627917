/** What the debugger looks at: the recording, and what is kept to answer quickly. Nothing here is part of the screen's state. */
import { eventAt } from '../events/block.js';
import type { Event } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { locate } from '../views/at.js';
import type { Stretch } from './instructions.js';
import { type Maps, mapsHere } from './maps.js';
import type { Notes } from './notes.js';
import { type Broken, NOTHING_OUTSIDE, type Outside } from './outside.js';
import { type Lines, textOf } from './screen/text.js';
import type { PaneId } from './state.js';

const EVENTS_KEPT = 4096;
const PAGES_KEPT = 256;

export class World {
  readonly source: Source;
  readonly maps: Maps;
  readonly notes: Notes;
  readonly outside: Outside;
  /** Events that break rules of the system, once they were looked for. */
  broken: readonly Broken[] = [];
  private readonly events = new Map<number, Event>();

  /** Instructions by the event they follow: instructions.ts. */
  readonly stretches = new Map<number, Stretch>();
  /** Pages of checkpoints by the hash of their contents. */
  readonly pages = new Map<string, Uint8Array>();

  constructor(source: Source, notes: Notes, outside: Outside = NOTHING_OUTSIDE, maps: Maps = mapsHere(source)) {
    this.source = source;
    this.maps = maps;
    this.notes = notes;
    this.outside = outside;
  }
  get last(): number {
    return this.source.count - 1;
  }
  /** Event `seq`, which must be in the recording. */
  event(seq: number): Event {
    let found = this.events.get(seq);
    if (!found) {
      const { block, i } = locate(this.source, seq);
      found = eventAt(block, i);
      if (this.events.size >= EVENTS_KEPT) this.events.clear();
      this.events.set(seq, found);
    }
    return found;
  }
  keepPage(hash: string, bytes: Uint8Array): Uint8Array {
    if (this.pages.size >= PAGES_KEPT) this.pages.clear();
    const copy = Uint8Array.from(bytes);
    this.pages.set(hash, copy);
    return copy;
  }

  /** The text of a line of a pane, as it was last shown. */
  lineUnder(pane: PaneId, n: number): string {
    const lines = this.shown.get(pane) ?? [];
    const at = Math.max(0, Math.min(n, lines.length - 1));
    return lines
      .slice(at, at + 1)
      .map(textOf)
      .join('');
  }
  /** All lines of a pane, as they were last shown. */
  textOf(pane: PaneId): string {
    return (this.shown.get(pane) ?? [])
      .slice()
      .map(l => textOf(l).trimEnd())
      .join('\n');
  }
  /** What each pane shows: kept by whoever draws. */
  readonly shown = new Map<PaneId, Lines>();
}
