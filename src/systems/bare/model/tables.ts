/**
 * Which frames are page tables. Nobody tells us: a frame becomes a table when something that the processor may walk points
 * to it, and is plain memory again when nothing does.
 *
 *   - A root is a table from the moment cr3 points to it.
 *   - A frame is a table of level n while a present entry of a table of level n + 1 points to it.
 *   - A root that cr3 has left stays a table as long as the guest may come back, which is as long as one of its entries is
 *     present: nobody can run on an empty root. When the last entry goes (or already had gone), it is released.
 *
 * Tables are watched, so every later store into one is an event; what they hold when they become tables is in the `adopt`
 * event. Parents are adopted before children. References are counted by level, since a frame may be reached at several (a
 * root that maps itself is its own level 3, 2 and 1): it is known at one level, the first, until that one has gone.
 */
import { assert } from '../../../base/assert.js';
import { asFrame, PAGE_BYTES } from '../../../base/brand.js';
import { listStart } from '../../../events/block.js';
import { KIND, SPACES } from '../../../events/kinds.js';
import type { Log } from '../../../events/log.js';
import type { Machine } from '../../../machine/engine/run.js';
import { FORMAT } from '../names.js';

const ROOT_LEVEL = 4;
const GUEST = SPACES.indexOf('guest');
const PRESENT = 1;
const LARGE = 0x80;

/** A live table. */
export interface Table {
  readonly level: number;
  /** cr3 pointed here, and may again. */
  root: boolean;
  /** The entries as the events so far say, two words each: references are counted by these. */
  readonly entries: Uint32Array;
}
/** A table as it is saved with a checkpoint: frame, level, 1 for a root. */
export type SavedTable = readonly [frame: number, level: number, root: number];

export class Tables {
  private readonly machine: Pick<Machine, 'memory' | 'ticks'>;
  private readonly log: Log;
  private readonly words: Uint32Array;
  private readonly frames: number;
  private readonly live = new Map<number, Table>();
  /** What `at` answered last: a guest writes to the same table again and again. */
  private asked = -1;
  private answer: Table | undefined;
  /** References from entries of live tables: by frame, then by the level they expect (1 to 3). */
  private readonly references = new Map<number, Uint32Array>();
  /** The root in cr3, or -1. */
  private loaded = -1;

  constructor(machine: Pick<Machine, 'memory' | 'ticks'>, log: Log) {
    this.machine = machine;
    this.log = log;
    const { guest } = machine.memory;
    this.words = new Uint32Array(guest.buffer, guest.byteOffset, guest.length >>> 2);
    this.frames = guest.length / PAGE_BYTES;
  }

  /** The table in a frame, if it is one. */
  at(frame: number): Table | undefined {
    if (frame !== this.asked) {
      this.asked = frame;
      this.answer = this.live.get(frame);
    }
    return this.answer;
  }

  /** cr3 points to another root. */
  load(frame: number, cause: number): void {
    const left = this.loaded;
    this.loaded = frame < this.frames ? frame : -1;
    if (this.loaded >= 0) {
      const known = this.live.get(frame);
      if (known)
        known.root = true; // a root that was a lower table first stays known as that
      else this.adopt(frame, ROOT_LEVEL, true, cause);
    }
    if (left >= 0 && left !== this.loaded) this.leave(left, cause);
  }

  /** Entry `index` of the live table in `frame` was written; the pte event `cause` says how. The new value as words. */
  written(frame: number, table: Table, index: number, newLo: number, newHi: number, cause: number): void {
    const { entries } = table;
    const oldLo = entries[2 * index]!;
    const oldHi = entries[2 * index + 1]!;
    entries[2 * index] = newLo;
    entries[2 * index + 1] = newHi;
    const before = this.target(oldLo, oldHi, table.level);
    const after = this.target(newLo, newHi, table.level);
    if (before !== after) {
      if (after >= 0) this.refer(after, table.level - 1, cause);
      if (before >= 0) this.forget(before, table.level - 1, cause);
    }
    if (oldLo & PRESENT && !(newLo & PRESENT)) this.leave(frame, cause);
  }

  /** What a checkpoint must keep, in the order in which the tables were adopted. */
  save(): { readonly loaded: number; readonly tables: readonly SavedTable[] } {
    return {
      loaded: this.loaded,
      tables: [...this.live].map(([frame, { level, root }]) => [frame, level, root ? 1 : 0]),
    };
  }
  /** Takes over what was saved; memory is as it was then. The input was checked. */
  restore({ loaded, tables }: { readonly loaded: number; readonly tables: readonly SavedTable[] }): void {
    this.live.clear();
    this.asked = -1;
    this.references.clear();
    this.loaded = loaded;
    for (const [frame, level, root] of tables) {
      this.live.set(frame, { level, root: root === 1, entries: this.inMemory(frame) });
      this.machine.memory.watch(asFrame(frame), true);
    }
    for (const table of this.live.values())
      for (const child of this.children(table)) this.count(child, table.level - 1)[table.level - 1]!++;
  }

  /** The frame of the table that an entry at `level` points to, -1 if it points to none that is in memory. */
  private target(lo: number, hi: number, level: number): number {
    if (!(lo & PRESENT) || level === 1 || (level < ROOT_LEVEL && lo & LARGE)) return -1;
    const frame = (hi & 0xf_ffff) * 2 ** 20 + (lo >>> 12);
    return frame < this.frames ? frame : -1;
  }
  private *children({ entries, level }: Table): Generator<number> {
    for (let n = 0; n < entries.length; n += 2) {
      const child = this.target(entries[n]!, entries[n + 1]!, level);
      if (child >= 0) yield child;
    }
  }
  private inMemory(frame: number): Uint32Array {
    return this.words.slice(frame * (PAGE_BYTES / 4), (frame + 1) * (PAGE_BYTES / 4));
  }
  private count(frame: number, level: number): Uint32Array {
    assert(level >= 1 && level < ROOT_LEVEL, 'tables below the root are referred to');
    let counts = this.references.get(frame);
    if (!counts) this.references.set(frame, (counts = new Uint32Array(ROOT_LEVEL)));
    return counts;
  }

  private refer(frame: number, level: number, cause: number): void {
    this.count(frame, level)[level]!++;
    if (!this.live.has(frame)) this.adopt(frame, level, false, cause);
  }
  private forget(frame: number, level: number, cause: number): void {
    const counts = this.references.get(frame);
    assert(counts && counts[level]! > 0, 'a reference that goes was counted');
    counts[level]!--;
    if (counts.every(n => n === 0)) this.references.delete(frame);
    const table = this.live.get(frame);
    if (table && table.level === level && counts[level] === 0 && !table.root) this.release(frame, table, cause);
  }
  /** A root that is not loaded goes when it is empty, unless it is somebody's lower table. */
  private leave(frame: number, cause: number): void {
    const table = this.live.get(frame);
    if (!table?.root || frame === this.loaded || table.entries.some((word, n) => n % 2 === 0 && word & PRESENT)) return;
    table.root = false;
    if (table.level === ROOT_LEVEL || !this.references.get(frame)?.[table.level]) this.release(frame, table, cause);
  }

  private adopt(frame: number, level: number, root: boolean, cause: number): void {
    const table = { level, root, entries: this.inMemory(frame) };
    this.live.set(frame, table);
    this.asked = -1;
    this.machine.memory.watch(asFrame(frame), true);
    this.tell('adopt', frame, table, cause);
    for (const child of this.children(table)) this.refer(child, level - 1, cause);
  }
  private release(frame: number, table: Table, cause: number): void {
    this.live.delete(frame);
    this.asked = -1;
    this.machine.memory.watch(asFrame(frame), false);
    this.tell('release', frame, table, cause);
    for (const child of this.children(table)) this.forget(child, table.level - 1, cause);
    // Still reached at another level: then that is what it is from now on.
    const other = this.references.get(frame)?.findLastIndex(n => n > 0) ?? -1;
    if (other > 0 && !this.live.has(frame)) this.adopt(frame, other, false, cause);
  }
  private tell(kind: 'adopt' | 'release', frame: number, { level, entries }: Table, cause: number): void {
    const row = this.log.open(KIND[kind], this.machine.ticks, 0, cause);
    const c = this.log.col[kind];
    c.space[row] = GUEST;
    c.table[row] = frame;
    c.offset[row] = 0;
    c.level[row] = level;
    c.bytes[row] = 8;
    c.format[row] = FORMAT.fourLevel;
    let at = listStart(c.entriesEnd, row);
    for (let n = 0; n < entries.length; n += 2) {
      c.entriesLo[at] = entries[n]!;
      c.entriesHi[at++] = entries[n + 1]!;
    }
    c.entriesEnd[row] = at;
  }
}
