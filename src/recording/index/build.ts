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
import { type Block, CHUNK_EVENTS, listStart } from '../../events/block.js';
import { FRAME_KINDS, KIND } from '../../events/kinds.js';
import type { Lexicon } from '../../events/lexicon.js';
import { isaOf } from '../../isa/index.js';
import type { Header } from '../source.js';
import type { IndexBuilder } from './contract.js';
import { encodeKeyframe } from './keyframe.js';
import { FENCE_BYTES, ListWriter } from './list.js';
import { Others } from './others.js';
import { SlotRows, WordRows } from './rows.js';
import { Sorter } from './sort.js';
import { keyOf, Targets } from './targets.js';

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

// `how` of a row of SlotRows
const WRITTEN = 0;
const ADOPTED = 1;
const RELEASED = 2;

/** A segment ends early after so many writes of entries (or rare events that a keyframe has to repeat). */
const ROWS_MAX = 2 ** 21;

// Read once: properties of KIND are looked up by name.
const { regs: REGS, pte: PTE, adopt: ADOPT, release: RELEASE } = KIND;
const FRAME_KIND_OF = new Int8Array(256).fill(-1);
FRAME_KINDS.forEach((name, n) => {
  FRAME_KIND_OF[KIND[name]] = n;
});
const REGISTERS = 64;

export function createIndexBuilder(header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon): IndexBuilder {
  return new Builder(header, lexicon);
}

/** What createIndexBuilder makes; readers use it for the end of a recording that is not indexed yet. */
export class Builder implements IndexBuilder {
  private readonly targets: Targets;
  private readonly registers: Uint32Array[] = [];
  /** Per vcpu, lo and hi: which registers a block has not said yet, seen from its end. */
  private readonly unknown = new Uint32Array(2 * 256);
  private readonly registerCount: number;
  private readonly vcpus: number;
  private first = 0;
  private end = 0;
  private ticks = 0;
  private readonly slots = new SlotRows();
  /** kind, frame, seq, value */
  private readonly ledger = new WordRows(4);
  /** frame, space, seq, note */
  private readonly covers = new WordRows(4);
  /** size, frame, space, value */
  private readonly mappers = new WordRows(4);
  private readonly others = new Others();
  private readonly sorter = new Sorter();
  private readonly writer = new ListWriter();

  constructor(header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon) {
    this.targets = new Targets(lexicon);
    this.registerCount = isaOf(header.isa)?.registers.length ?? REGISTERS;
    this.vcpus = header.vcpus;
  }

  get full(): boolean {
    return this.slots.n >= ROWS_MAX || this.others.full;
  }

  add(block: Block): void {
    this.addFrom(block, 0);
  }

  /** Takes the events i >= from of a block. */
  addFrom(block: Block, from: number): void {
    const { kind, row, count } = block;
    if (count <= from) return;
    if (this.end === this.first) this.first = this.end = block.first + from;
    const base = block.first - this.first;
    const { ledger, slots } = this;
    ledger.need(count);
    slots.need(count);
    for (let i = from; i < count; i++) {
      const k = kind[i]!;
      if (k === PTE) this.addWrite(block, row[i]!, base + i);
      else if (FRAME_KIND_OF[k]! >= 0) this.addNumber(block, k, row[i]!, base + i);
      else if (k === ADOPT || k === RELEASE) this.addTable(block, k, row[i]!, base + i);
    }
    this.addRegisters(block, from);
    this.others.add(block, from);
    this.end = block.first + count;
    this.ticks = block.ticks[count - 1]!;
  }

  private addWrite({ col: { pte } }: Block, r: number, seq: number): void {
    const { slots } = this;
    const n = slots.n++;
    const space = pte.space[r]!;
    const offset = pte.offset[r]!;
    const level = this.targets.level(space, pte.level[r]!);
    const lo = pte.newLo[r]!;
    const hi = pte.newHi[r]!;
    slots.offset[n] = offset & 4095;
    slots.frame[n] = pte.table[r]! + (offset >>> 12);
    slots.space[n] = space;
    slots.seq[n] = seq;
    slots.level[n] = pte.level[r]!;
    slots.how[n] = WRITTEN;
    slots.lo[n] = lo;
    slots.hi[n] = hi;
    slots.was[n] = keyOf(level, space, pte.oldLo[r]!, pte.oldHi[r]!);
    slots.now[n] = keyOf(level, space, lo, hi);
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
    for (let i = 0; i < items; i++) {
      const n = slots.n++;
      const at = c.offset[r]! + i * stride;
      const lo = c.entriesLo[start + i]!;
      const hi = c.entriesHi[start + i]!;
      const key = keyOf(level, space, lo, hi);
      slots.offset[n] = at & 4095;
      slots.frame[n] = c.table[r]! + (at >>> 12);
      slots.space[n] = space;
      slots.seq[n] = seq;
      slots.level[n] = c.level[r]!;
      slots.how[n] = adopted ? ADOPTED : RELEASED;
      slots.lo[n] = adopted ? lo : 0;
      slots.hi[n] = adopted ? hi : 0;
      slots.was[n] = adopted ? -1 : key;
      slots.now[n] = adopted ? key : -1;
    }
    this.addCovers(space, c.table[r]!, c.offset[r]!, items * stride, adopted, seq);
  }

  private addCovers(space: number, table: number, offset: number, bytes: number, adopted: boolean, seq: number): void {
    const { covers } = this;
    for (let at = offset; at < offset + bytes; at = (at | 4095) + 1) {
      covers.need(1);
      const [frames, spaces, seqs, notes] = covers.columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
      const n = covers.n++;
      const to = Math.min(offset + bytes - (at - (at & 4095)), 4096);
      frames[n] = table + (at >>> 12);
      spaces[n] = space;
      seqs[n] = seq;
      notes[n] = (at & 4095) | (to << 13) | (adopted ? 0 : 1 << 26);
    }
  }

  private addNumber({ col }: Block, kind: number, r: number, seq: number): void {
    const which = FRAME_KIND_OF[kind]!;
    const c = col[FRAME_KINDS[which]!];
    const { ledger } = this;
    const n = ledger.n++;
    const [kinds, frames, seqs, values] = ledger.columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
    kinds[n] = which;
    frames[n] = c.frame[r]!;
    seqs[n] = seq;
    values[n] = c.new[r]!;
  }

  /** Takes the last value of each register, backwards: most rows then only set what is known already. */
  private addRegisters({ kind, row, vcpu, col: { regs }, count }: Block, from: number): void {
    this.unknown.fill(0xffff_ffff);
    const { maskLo, maskHi } = regs;
    for (let i = count - 1; i >= from; i--) {
      if (kind[i] !== REGS) continue;
      const r = row[i]!;
      const v = 2 * vcpu[i]!;
      const lo = maskLo[r]! & this.unknown[v]!;
      const hi = maskHi[r]! & this.unknown[v + 1]!;
      if ((lo | hi) === 0) continue;
      this.unknown[v]! &= ~lo;
      this.unknown[v + 1]! &= ~hi;
      this.setRegisters(regs, r, this.registersOf(vcpu[i]!), lo, hi);
    }
  }

  /** Sets those registers of a row that are in lo and hi. Values are in the order of the row's own mask. */
  private setRegisters(regs: Block['col']['regs'], r: number, words: Uint32Array, lo: number, hi: number): void {
    let item = listStart(regs.valuesEnd, r);
    const end = regs.valuesEnd[r]!;
    for (let half = 0; half < 2; half++) {
      let mask = half === 0 ? regs.maskLo[r]! : regs.maskHi[r]!;
      const wanted = half === 0 ? lo : hi;
      for (; mask !== 0 && item < end; item++) {
        const bit = mask & -mask;
        mask ^= bit;
        if ((wanted & bit) === 0) continue;
        const at = 64 * half + 2 * (31 - Math.clz32(bit));
        words[at] = regs.valuesLo[item]!;
        words[at + 1] = regs.valuesHi[item]!;
      }
    }
  }
  private registersOf(vcpu: number): Uint32Array {
    while (this.registers.length <= vcpu) this.registers.push(new Uint32Array(2 * REGISTERS));
    return this.registers[vcpu]!;
  }

  finish(): { index: Uint8Array; keyframe: Uint8Array } {
    const { slots, ledger } = this;
    const { index, lastSlots, lastNumbers } = this.write();
    if (this.vcpus > 0) this.registersOf(this.vcpus - 1);
    const keyframe = encodeKeyframe({
      from: this.first,
      seq: this.end,
      ticks: this.ticks,
      slots,
      slotRows: lastSlots,
      numbers: ledger.columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array],
      numberRows: lastNumbers,
      others: this.others.take(),
      registers: this.registers.map(words => words.subarray(0, 2 * this.registerCount)),
    });
    this.clear();
    return { index, keyframe };
  }

  /** Like finish, for who needs no keyframe. */
  finishIndex(): Uint8Array {
    const { index } = this.write();
    this.others.take();
    this.clear();
    return index;
  }

  private clear(): void {
    this.slots.n = this.ledger.n = this.covers.n = this.mappers.n = 0;
    this.first = this.end;
  }

  private write(): { index: Uint8Array; lastSlots: Uint32Array; lastNumbers: Uint32Array } {
    const { slots, ledger } = this;
    const lastSlots = new Rows(slots.n);
    const lastNumbers = new Rows(ledger.n);
    const order = this.sorter.sort(slots.n, [slots.offset, slots.frame, slots.space]);
    const lists = [
      this.writeSlots(order, lastSlots),
      this.writeMappers(),
      this.writeLedger(lastNumbers),
      this.writeCovers(),
    ];
    return { index: assemble(lists), lastSlots: lastSlots.taken, lastNumbers: lastNumbers.taken };
  }

  /** Writes SLOTS, gathers the rows of MAPPERS, and leaves the last row of each entry in `last`. */
  private writeSlots(order: Uint32Array, last: Rows): Written {
    const { slots, mappers, writer } = this;
    const { n, offset, frame, space, now, was, how } = slots;
    mappers.need(2 * n);
    // What the row before in the list left of the same entry: -2 where there is none.
    let left = -2;
    let before = -1;
    for (let i = 0; i < n; i++) {
      const r = order[i]!;
      const same =
        before >= 0 && offset[r] === offset[before] && frame[r] === frame[before] && space[r] === space[before];
      if (!same) {
        if (before >= 0) last.push(before);
        left = -2;
      }
      before = r;
      const to = now[r]!;
      // An adopt does not say what it replaces.
      const from = how[r] === ADOPTED ? Math.max(left, -1) : was[r]!;
      if (how[r] !== WRITTEN && to < 0 && from < 0 && left < 0) continue;
      const at = writer.rows;
      writer.push(slotKey(space[r]!, frame[r]!, offset[r]!), slots.seq[r]!, slots.level[r]!);
      if (to >= 0) this.addMapping(to, 4 * at + (from === to ? KEPT : MADE));
      if (from >= 0 && from !== to && from !== left) this.addMapping(from, 4 * at + ENDED);
      left = to;
    }
    if (before >= 0) last.push(before);
    return written(writer);
  }

  private addMapping(key: number, value: number): void {
    const { mappers } = this;
    const [sizes, frames, spaces, values] = mappers.columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
    const n = mappers.n++;
    const frame = Math.floor(key / 8);
    sizes[n] = key % 8;
    frames[n] = frame;
    spaces[n] = frame / FRAMES;
    values[n] = value;
  }

  private writeMappers(): Written {
    const { mappers, writer } = this;
    const [sizes, frames, spaces, values] = mappers.columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
    const order = this.sorter.sort(mappers.n, [sizes, frames, spaces]);
    for (let i = 0; i < mappers.n; i++) {
      const r = order[i]!;
      writer.push((spaces[r]! * FRAMES + frames[r]!) * 8 + sizes[r]!, values[r]!, 0);
    }
    return written(writer);
  }

  private writeLedger(last: Rows): Written {
    const { ledger, writer } = this;
    const [kinds, frames, seqs] = ledger.columns as [Uint32Array, Uint32Array, Uint32Array];
    const order = this.sorter.sort(ledger.n, [kinds, frames]);
    let key = -1;
    for (let i = 0; i < ledger.n; i++) {
      const r = order[i]!;
      const next = frames[r]! * 8 + kinds[r]!;
      if (i > 0 && next !== key) last.push(order[i - 1]!);
      key = next;
      writer.push(key, seqs[r]!, 0);
    }
    if (ledger.n > 0) last.push(order[ledger.n - 1]!);
    return written(writer);
  }

  private writeCovers(): Written {
    const { covers, writer } = this;
    const [frames, spaces, seqs, notes] = covers.columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
    const order = this.sorter.sort(covers.n, [frames, spaces]);
    for (let i = 0; i < covers.n; i++) {
      const r = order[i]!;
      writer.push(coverKey(spaces[r]!, frames[r]!), seqs[r]!, notes[r]!);
    }
    return written(writer);
  }
}

/** Numbers of rows, of which it is known how many there can be. */
class Rows {
  private n = 0;
  private readonly rows: Uint32Array;
  constructor(most: number) {
    this.rows = new Uint32Array(most);
  }
  push(row: number): void {
    this.rows[this.n++] = row;
  }
  get taken(): Uint32Array {
    return this.rows.subarray(0, this.n);
  }
}

interface Written {
  readonly rows: number;
  readonly blocks: number;
  readonly fences: Uint8Array;
  readonly bytes: Uint8Array;
}
/** The list just written; its bytes are copied, since the writer goes on to the next. */
function written(writer: ListWriter): Written {
  const list = writer.finish();
  return { ...list, bytes: list.bytes.slice() };
}

function assemble(lists: readonly Written[]): Uint8Array {
  const bytes = lists.reduce((sum, l) => sum + l.blocks * FENCE_BYTES + l.bytes.length, HEAD_BYTES);
  const out = new Uint8Array(bytes);
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
