/**
 * Builds the indexes of a segment while it is recorded. Events are gathered as rows of columns; at the end of the segment
 * the rows are sorted once and written as sorted lists (list.ts). All values are small because they are relative:
 *
 *   SLOTS    key  (space, physical byte of the entry)       value  seq - first       note  level
 *            every pte, and of adopt and release the entries that point somewhere
 *   MAPPERS  key  (space, first frame, size): targets.ts    value  row of SLOTS * 4 + MADE, KEPT or ENDED
 *   LEDGER   key  frame * 8 + kind of number                value  seq - first
 *   COVERS   key  space * 2^32 + frame                      value  seq - first       note  from | to << 13 | release << 26
 *            adopt and release, for each frame that the table touches, and which bytes of it
 *
 * A mapping that ends in the segment it began in needs no row of its own: the next row of SLOTS is of the same entry and
 * says when. So ENDED is written only where the row before is not in this segment, or is another matter.
 *
 * The sort also leaves the last row of each entry and of each frame number, which is the keyframe.
 */
import { type Block, type BlockColumns, CHUNK_EVENTS, listStart } from '../../events/block.js';
import { FRAME_KINDS, type FrameKind, KIND } from '../../events/kinds.js';
import type { Lexicon } from '../../events/lexicon.js';
import { isaOf } from '../../isa/index.js';
import type { Header } from '../source.js';
import type { KeyframeParts } from './keyframe-encode.js';
import { FENCE_BYTES, ListWriter, type Written } from './list.js';
import { KindOrder, rowsFrom } from './order.js';
import { Others } from './others.js';
import { LastRegisters } from './registers.js';
import { gather, LastNumbers, LastSlots, Rows, SLICE } from './rows.js';
import { type Part, Sorter, wholeWord } from './sort.js';
import { frameOf, sizeOf, Targets, targetKey } from './targets.js';

export const INDEX_VERSION = 1;
/** Version and four times rows, blocks, where fences and blocks begin. */
export const HEAD_BYTES = 4 + 4 * 16;
export const LISTS = ['slots', 'mappers', 'ledger', 'covers'] as const;

/** What a row of MAPPERS says of its write: the entry points there now and did not, or did before; or no longer does. */
export const MADE = 0;
export const KEPT = 1;
export const ENDED = 2;

const FRAMES = 2 ** 32;
/** The key of an entry in SLOTS; physical bytes are below 2^44. */
export const slotKey = (space: number, frame: number, offset: number): number =>
  space * 2 ** 44 + frame * 4096 + offset;
export const coverKey = (space: number, frame: number): number => space * FRAMES + frame;

/*
 * A row of `slots`, one write of one entry, in words:
 *
 *   0  frame of the entry
 *   1  | now 4 | was 4 | how 4 | space 8 | byte of the entry 12 |      was, now: size of what it pointed to, NOWHERE for none
 *   2  seq - first     3  low word     4  high word                    the entry after the write
 *   5  frame it pointed to before      6  frame it points to           7  level
 */
const SLOT_WORDS = 8;
const BY_SLOT: readonly Part[] = [{ at: 1, shift: 0, bits: 12 }, wholeWord(0), { at: 1, shift: 12, bits: 8 }];
const WRITTEN = 0;
const ADOPTED = 1;
const RELEASED = 2;
const NOWHERE = 15;
/** A row of `mappers`: frame | size and space | value | nothing. */
const BY_TARGET: readonly Part[] = [{ at: 1, shift: 0, bits: 4 }, wholeWord(0), { at: 1, shift: 4, bits: 8 }];
/** A row of `ledger`: frame | kind | seq - first | value. */
const BY_NUMBER: readonly Part[] = [wholeWord(1), wholeWord(0)];
/** A row of `covers`: frame | space | seq - first | note. */
const BY_COVER: readonly Part[] = [wholeWord(0), wholeWord(1)];

/** A segment ends early after so many writes of entries (or rare events that a keyframe has to repeat). */
const ROWS_MAX = 2 ** 21;

// Read once: properties of KIND are looked up by name.
const { pte: PTE, adopt: ADOPT, release: RELEASE } = KIND;
const REGISTERS = 64;

/** Makes indexes; readers use it for the end of a recording that is not indexed yet. */
export class Builder {
  private readonly targets: Targets;
  private readonly lastRegisters = new LastRegisters();
  private readonly registerCount: number;
  private readonly vcpus: number;
  private first = 0;
  private end = 0;
  private ticks = 0;
  private readonly slots = new Rows(SLOT_WORDS);
  private readonly mappers = new Rows(4);
  private readonly ledger = new Rows(4);
  private readonly covers = new Rows(4);
  /** Tables adopted before anything was written, while that is so: keys of COVERS. */
  private readonly untouched = new Untouched();
  /** Rows of `slots` that were not needed. */
  private spared = 0;
  private readonly lastSlots = new LastSlots();
  private readonly lastNumbers = new LastNumbers();
  private readonly others = new Others();
  private readonly order = new KindOrder();
  private readonly sorter = new Sorter();
  private readonly writer = new ListWriter();
  /** Rows in order, a slice of them. */
  private readonly slice = new Uint32Array(SLICE * SLOT_WORDS);
  private readonly entry = new EntryBefore();

  constructor(header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon) {
    this.targets = new Targets(lexicon);
    this.registerCount = isaOf(header.isa)?.registers.length ?? REGISTERS;
    this.vcpus = header.vcpus;
  }

  get registers(): readonly Uint32Array[] {
    return this.lastRegisters.all;
  }
  set registers(all: readonly Uint32Array[]) {
    this.lastRegisters.all = all;
  }

  get full(): boolean {
    return this.slots.n + this.spared >= ROWS_MAX || this.others.full;
  }

  add(block: Block): void {
    this.addFrom(block, 0);
  }

  /** Takes the events i >= from of a block. */
  addFrom(block: Block, from: number): void {
    const { count, rows } = block;
    if (count <= from) return;
    if (this.end === this.first) this.first = this.end = block.first + from;
    const base = block.first - this.first;
    this.slots.need(count);
    this.ledger.need(count);
    const order = this.order.of(block);
    // Writes and tables may be of the same entry, and then it matters which comes first.
    if (rows[ADOPT] === 0 && rows[RELEASE] === 0)
      this.addWrites(block.col.pte, order, rowsFrom(order, PTE, from), base);
    else this.addInOrder(block, from, base);
    FRAME_KINDS.forEach((name, which) => {
      const kind = KIND[name];
      this.addNumbers(block.col[name], which, order.events(kind), rowsFrom(order, kind, from), base);
    });
    this.lastRegisters.add(block, order, from);
    this.others.add(block, order, from);
    this.end = block.first + count;
    this.ticks = block.ticks[count - 1]!;
  }

  private addWrites(pte: BlockColumns['pte'], order: KindOrder, from: number, base: number): void {
    const events = order.events(PTE);
    if (events.length > 0) this.untouched.end();
    for (let r = from; r < events.length; r++) this.addWrite(pte, r, base + events[r]!);
  }

  private addInOrder(block: Block, from: number, base: number): void {
    const { kind, row, count } = block;
    for (let i = from; i < count; i++) {
      const k = kind[i]!;
      if (k === ADOPT || k === RELEASE) this.addTable(block, k, row[i]!, base + i);
      else if (k === PTE) {
        this.untouched.end();
        this.addWrite(block.col.pte, row[i]!, base + i);
      }
    }
  }

  private addWrite(pte: BlockColumns['pte'], r: number, seq: number): void {
    const { targets } = this;
    const { words } = this.slots;
    const at = this.slots.add();
    const space = pte.space[r]!;
    const offset = pte.offset[r]!;
    const number = pte.level[r]!;
    const level = targets.level(space, number);
    const lo = pte.newLo[r]!;
    const hi = pte.newHi[r]!;
    const was = frameOf(level, pte.oldLo[r]!, pte.oldHi[r]!);
    const now = frameOf(level, lo, hi);
    const wasSize = was < 0 ? NOWHERE : sizeOf(level!, pte.oldLo[r]!, pte.oldHi[r]!);
    const nowSize = now < 0 ? NOWHERE : sizeOf(level!, lo, hi);
    words[at] = pte.table[r]! + (offset >>> 12);
    words[at + 1] = (offset & 4095) | (space << 12) | (WRITTEN << 20) | (wasSize << 24) | (nowSize << 28);
    words[at + 2] = seq;
    words[at + 3] = lo;
    words[at + 4] = hi;
    words[at + 5] = was;
    words[at + 6] = now;
    words[at + 7] = number;
  }

  private addTable({ col }: Block, kind: number, r: number, seq: number): void {
    const { slots } = this;
    const adopted = kind === ADOPT;
    const c = adopted ? col.adopt : col.release;
    const space = c.space[r]!;
    const stride = c.bytes[r]!;
    if (stride === 0) return; // no system has such tables; a made-up event may
    const start = listStart(c.entriesEnd, r);
    const items = c.entriesEnd[r]! - start;
    const level = this.targets.levelIn(c.format[r]!, space, c.level[r]!);
    slots.need(items + CHUNK_EVENTS); // and still room for the rest of the block
    const { words } = slots;
    // Of a table that nothing was known of before the first event, entries that are zero as they were say nothing.
    if (!adopted) this.untouched.end();
    const sparing = this.first === 0 && this.untouched.add(space, c.table[r]!, c.offset[r]!, items * stride);
    for (let i = 0; i < items; i++) {
      const lo = c.entriesLo[start + i]!;
      const hi = c.entriesHi[start + i]!;
      if (sparing && (lo | hi) === 0) {
        this.spared++;
        continue;
      }
      const n = slots.add();
      const at = c.offset[r]! + i * stride;
      const frame = frameOf(level, lo, hi);
      const size = frame < 0 ? NOWHERE : sizeOf(level!, lo, hi);
      const how = adopted ? ADOPTED : RELEASED;
      const [was, now] = adopted ? [NOWHERE, size] : [size, NOWHERE];
      words[n] = c.table[r]! + (at >>> 12);
      words[n + 1] = (at & 4095) | (space << 12) | (how << 20) | (was << 24) | (now << 28);
      words[n + 2] = seq;
      words[n + 3] = adopted ? lo : 0;
      words[n + 4] = adopted ? hi : 0;
      words[n + 5] = frame;
      words[n + 6] = frame;
      words[n + 7] = c.level[r]!;
    }
    this.addCovers(space, c.table[r]!, c.offset[r]!, items * stride, adopted, seq);
  }

  private addCovers(space: number, table: number, offset: number, bytes: number, adopted: boolean, seq: number): void {
    const { covers } = this;
    for (let at = offset; at < offset + bytes; at = (at | 4095) + 1) {
      covers.need(1);
      const n = covers.add();
      const { words } = covers;
      const to = Math.min(offset + bytes - (at - (at & 4095)), 4096);
      words[n] = table + (at >>> 12);
      words[n + 1] = space;
      words[n + 2] = seq;
      words[n + 3] = (at & 4095) | (to << 13) | (adopted ? 0 : 1 << 26);
    }
  }

  /** @param which the kind of number: its place in FRAME_KINDS */
  private addNumbers(c: BlockColumns[FrameKind], which: number, events: Uint16Array, from: number, base: number): void {
    const { words } = this.ledger;
    for (let r = from; r < events.length; r++) {
      const at = this.ledger.add();
      words[at] = c.frame[r]!;
      words[at + 1] = which;
      words[at + 2] = base + events[r]!;
      words[at + 3] = c.new[r]!;
    }
  }

  /** The index of what was added since the last time, and what its keyframe is made of, which holds until the next `add`. */
  take(): { readonly index: Uint8Array; readonly parts: KeyframeParts } {
    const index = this.write();
    const parts = {
      from: this.first,
      seq: this.end,
      ticks: this.ticks,
      slots: this.lastSlots,
      numbers: this.lastNumbers,
      others: this.others.take(),
      registers: this.lastRegisters.words(this.vcpus, this.registerCount),
    };
    this.clear();
    return { index, parts };
  }

  private clear(): void {
    this.slots.n = this.ledger.n = this.covers.n = this.mappers.n = this.spared = 0;
    this.untouched.end();
    this.first = this.end;
  }

  private write(): Uint8Array {
    const payload = assemble([this.writeSlots(), this.writeMappers(), this.writeLedger(), this.writeCovers()]);
    this.writer.clear();
    return payload;
  }

  /** Calls `work` for the rows in the order of `parts`, of which some are then in `slice`. */
  private inOrder(rows: Rows, parts: readonly Part[], work: (n: number) => void): void {
    const order = this.sorter.sort(rows, parts);
    for (let from = 0; from < rows.n; from += SLICE) {
      const to = Math.min(rows.n, from + SLICE);
      gather(rows, order, from, to, this.slice);
      work(to - from);
    }
  }

  /** Writes SLOTS, gathers the rows of MAPPERS, and leaves the last row of each entry for the keyframe. */
  private writeSlots(): Written {
    const { slots } = this;
    this.mappers.need(2 * slots.n);
    this.lastSlots.clear(slots.n);
    this.entry.forget();
    this.inOrder(slots, BY_SLOT, n => this.writeSlotSlice(n));
    return this.writer.finish();
  }

  private writeSlotSlice(n: number): void {
    const { slice, writer, lastSlots, entry } = this;
    for (let w = 0; w < n * SLOT_WORDS; w += SLOT_WORDS) {
      const frame = slice[w]!;
      const packed = slice[w + 1]!;
      const place = packed & 0xf_ffff;
      if (place !== entry.place || frame !== entry.frame) entry.begin(frame, place);
      const how = (packed >>> 20) & 15;
      // Before the first event all is zero: entries that then come as zeros say nothing new.
      const isNews = this.first > 0 || how !== ADOPTED || (slice[w + 3]! | slice[w + 4]!) !== 0;
      if (isNews && !entry.told) lastSlots.n++;
      entry.told ||= isNews;
      if (entry.told) setLast(lastSlots, frame, place, slice[w + 3]!, slice[w + 4]!);
      const { left, leftFrame } = entry;
      const to = packed >>> 28;
      const toFrame = slice[w + 6]!;
      // An adopt does not say what it replaces.
      const from = how !== ADOPTED ? (packed >>> 24) & 15 : left === UNKNOWN ? NOWHERE : left;
      const fromFrame = how === ADOPTED ? leftFrame : slice[w + 5]!;
      const nothing = to === NOWHERE && from === NOWHERE && (left === UNKNOWN || left === NOWHERE);
      if (how !== WRITTEN && nothing) continue;
      const row = 4 * writer.rows;
      const space = place >>> 12;
      writer.push(slotKey(space, frame, place & 4095), slice[w + 2]!, slice[w + 7]!);
      const stays = to === from && toFrame === fromFrame;
      if (to !== NOWHERE) this.addMapping(space, toFrame, to, row + (stays ? KEPT : MADE));
      if (from !== NOWHERE && !stays && (from !== left || fromFrame !== leftFrame))
        this.addMapping(space, fromFrame, from, row + ENDED);
      entry.left = to;
      entry.leftFrame = toFrame;
    }
  }

  private addMapping(space: number, frame: number, size: number, value: number): void {
    const { words } = this.mappers;
    const at = this.mappers.add();
    words[at] = frame;
    words[at + 1] = size | (space << 4);
    words[at + 2] = value;
  }

  private writeMappers(): Written {
    const { slice, writer, mappers } = this;
    this.inOrder(mappers, BY_TARGET, n => {
      for (let w = 0; w < 4 * n; w += 4)
        writer.push(targetKey(slice[w + 1]! >>> 4, slice[w]!, slice[w + 1]! & 15), slice[w + 2]!, 0);
    });
    return writer.finish();
  }

  /** Writes LEDGER, and leaves the last row of each number for the keyframe. */
  private writeLedger(): Written {
    const { slice, writer, ledger, lastNumbers: last } = this;
    last.clear(ledger.n);
    let before = -1;
    this.inOrder(ledger, BY_NUMBER, n => {
      for (let w = 0; w < 4 * n; w += 4) {
        const frame = slice[w]!;
        const kind = slice[w + 1]!;
        const key = frame * 8 + kind;
        if (key !== before) last.n++;
        before = key;
        last.frame[last.n - 1] = frame;
        last.kind[last.n - 1] = kind;
        last.value[last.n - 1] = slice[w + 3]!;
        writer.push(key, slice[w + 2]!, 0);
      }
    });
    return writer.finish();
  }

  private writeCovers(): Written {
    const { slice, writer, covers } = this;
    this.inOrder(covers, BY_COVER, n => {
      for (let w = 0; w < 4 * n; w += 4) writer.push(coverKey(slice[w + 1]!, slice[w]!), slice[w + 2]!, slice[w + 3]!);
    });
    return writer.finish();
  }
}

/** Frames in which tables were adopted at the very beginning, each once, before anything else was said of any entry. */
class Untouched {
  private frames: Set<number> | undefined = new Set();

  /** Adds the frames that a table touches; false if one is there already, or the beginning is over. */
  add(space: number, table: number, offset: number, bytes: number): boolean {
    const { frames } = this;
    if (!frames) return false;
    let fresh = true;
    for (let frame = table + (offset >>> 12); frame * 4096 < table * 4096 + offset + bytes; frame++) {
      const key = coverKey(space, frame);
      fresh &&= !frames.has(key);
      frames.add(key);
    }
    return fresh;
  }
  /** The beginning is over. */
  end(): void {
    this.frames = undefined;
  }
}

const UNKNOWN = -1;
/** What the row before left of the same entry: a size, NOWHERE, or UNKNOWN where there is none. */
class EntryBefore {
  frame = 0;
  place = -1;
  left = UNKNOWN;
  leftFrame = 0;
  /** It is one of the last slots. */
  told = false;
  forget(): void {
    this.begin(0, -1);
  }
  begin(frame: number, place: number): void {
    this.frame = frame;
    this.place = place;
    this.left = UNKNOWN;
    this.told = false;
  }
}

function setLast(last: LastSlots, frame: number, place: number, lo: number, hi: number): void {
  const at = last.n - 1;
  last.frame[at] = frame;
  last.space[at] = place >>> 12;
  last.offset[at] = place & 4095;
  last.lo[at] = lo;
  last.hi[at] = hi;
}

/** In shared memory, since it may be made in a worker: a message would copy it twice. */
function assemble(lists: readonly Written[]): Uint8Array {
  const bytes = lists.reduce((sum, l) => sum + l.blocks * FENCE_BYTES + l.bytes.length, HEAD_BYTES);
  const out = new Uint8Array(new SharedArrayBuffer(bytes));
  const view = new DataView(out.buffer);
  view.setUint32(0, INDEX_VERSION, true);
  let at = HEAD_BYTES;
  lists.forEach((list, n) => {
    const blocksAt = at + list.fences.length;
    [list.rows, list.blocks, at, blocksAt].forEach((v, k) => void view.setUint32(4 + 16 * n + 4 * k, v, true));
    out.set(list.fences, at);
    out.set(list.bytes, blocksAt);
    at = blocksAt + list.bytes.length;
  });
  return out;
}
