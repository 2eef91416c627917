/**
 * The decoded instructions: blocks in the arena, found by virtual address and code frame. A block never leaves its page
 * (an instruction that does is a block of its own, behind a guard), so a block is right as long as its frame's bytes
 * are. Frames with blocks carry the `code` page flag; a store into decoded bytes turns every record of the blocks there
 * into STALE, so that whoever holds a link, or stands in the middle of one, decodes anew at the next instruction.
 */

import { assert } from '../../base/assert.js';
import { PAGE_BYTES, PAGE_SHIFT } from '../../base/brand.js';
import { u64 } from '../../base/u64.js';
import { jumpCacheAt } from './build.js';
import { CODE_LINE_BYTES, CONTROL, JUMP_CACHE, JUMP_CACHE_BITS, PAGE_FLAGS } from './layout.js';
import type { Memory } from './memory.js';
import {
  BLOCK_INSTRUCTIONS_MAX,
  BLOCK_SLOTS_MAX,
  EXIT,
  findPlace,
  GOTO,
  GUARD,
  HEADER,
  newPlace,
  RECORD,
  SLOT_BYTES,
  STALE,
} from './records.js';

/** Decodes one block into the arena. */
export interface Translator {
  /**
   * Fills `block` with at most `limit` instructions from block.pc on. `page` is the rest of the code page from there.
   * @returns false if a second page had to be fetched and faulted (the fault is in the control words)
   */
  translate(block: BlockBuilder, page: Uint8Array, limit: number): boolean;
  /** Everything decoded so far is forgotten. */
  reset(): void;
}

export interface Block {
  readonly pc: bigint;
  readonly header: number;
  readonly end: number;
  /** The bytes it was decoded from: one range, or two for an instruction across pages. The first is in its frame. */
  readonly ranges: readonly Range[];
  readonly single: boolean;
}
/** The blocks that come from one frame: by address, whole or of a single instruction; and by the lines their bytes are in. */
interface FrameCode {
  readonly whole: Map<number, Block>;
  readonly single: Map<number, Block>;
  readonly lines: Map<number, Set<Block>>;
}
/** Bytes [from, to) of physical memory, in one frame. */
interface Range {
  readonly from: number;
  readonly to: number;
}

export interface RecordFields {
  handler: number;
  dst?: number;
  src?: number;
  base?: number;
  index?: number;
  scale?: number;
  length: number;
  disp?: number;
  imm?: bigint;
}

/** Writes a block: records in order, then an exit if the last one branches. */
export class BlockBuilder {
  readonly pc: bigint;
  /** Linear address of the u64 block.pc, a base register for operands relative to the instruction's address. */
  readonly pcAt: number;
  private readonly view: DataView;
  private readonly header: number;
  private at: number;
  /** Bytes decoded so far. */
  bytes = 0;
  /** The frame of the second page, for an instruction across pages, and how many of its bytes lie there. */
  second: { readonly frame: number; readonly bytes: number } | undefined;

  constructor(view: DataView, at: number, pc: bigint, frame: number) {
    this.view = view;
    this.header = at;
    this.pc = pc;
    this.pcAt = at + HEADER.pc;
    view.setBigUint64(at + HEADER.pc, pc, true);
    view.setUint32(at + HEADER.frame, frame, true);
    this.at = at + SLOT_BYTES;
  }
  record(fields: RecordFields): void {
    const { view, at } = this;
    view.setUint16(at + RECORD.handler, fields.handler, true);
    view.setUint16(at + RECORD.place, (at - this.header) / SLOT_BYTES, true);
    view.setUint32(at + RECORD.dst, fields.dst ?? 0, true);
    view.setUint32(at + RECORD.src, fields.src ?? 0, true);
    view.setUint32(at + RECORD.base, fields.base ?? 0, true);
    view.setUint16(at + RECORD.index, fields.index ?? 0, true);
    view.setUint8(at + RECORD.scale, fields.scale ?? 0);
    view.setUint8(at + RECORD.length, fields.length);
    view.setInt32(at + RECORD.disp, fields.disp ?? 0, true);
    view.setBigUint64(at + RECORD.imm, BigInt.asUintN(64, fields.imm ?? 0n), true);
    this.at += SLOT_BYTES;
    this.bytes += fields.length;
  }
  /**
   * The exit behind a record that branches. `count` instructions are counted when it is taken; `takenPc` is 0 for a
   * computed target.
   */
  exit(count: number, fallPc: bigint, takenPc = 0n): void {
    const { view, at } = this;
    view.setUint16(at, STALE, true);
    view.setUint16(at + EXIT.count, count, true);
    view.setUint32(at + EXIT.fall, 0, true);
    view.setUint32(at + EXIT.taken, 0, true);
    const page = BigInt.asUintN(64, this.pc + BigInt(this.bytes) - 1n) >> 12n; // of the last byte decoded
    const linkable = (to: bigint): number => Number(BigInt.asUintN(64, to) >> 12n === page);
    view.setUint32(at + EXIT.linkable, linkable(fallPc) | (linkable(takenPc) << 1), true);
    view.setBigUint64(at + EXIT.fallPc, BigInt.asUintN(64, fallPc), true);
    view.setBigUint64(at + EXIT.takenPc, BigInt.asUintN(64, takenPc), true);
    this.at += SLOT_BYTES;
  }
  /** Ends a block that simply goes on. */
  goOn(count: number, pc: bigint): void {
    this.record({ handler: GOTO, length: 0 });
    this.exit(count, pc);
  }
  /** First in a block whose only instruction reaches into the page at `va`, now in `frame`. */
  guard(va: bigint, frame: number, bytes: number): void {
    this.record({ handler: GUARD, length: 0, dst: frame, imm: va });
    this.second = { frame, bytes };
  }
  get end(): number {
    return this.at;
  }
}

/** Addresses of 48 bits, sign-extended, as map keys; distinct for distinct canonical addresses. */
const keyOf = (pc: bigint): number => Number(BigInt.asIntN(64, pc));

const frameOf = (at: number): number => at - (at % PAGE_BYTES);
/** The numbers of the lines with these bytes: what is remembered of where code is, so that a store looks at few blocks. */
function* linesOf({ from, to }: Range): Generator<number> {
  for (let line = Math.floor(from / CODE_LINE_BYTES); line * CODE_LINE_BYTES < to; line++) yield line;
}

export class CodeCache {
  private readonly memory: Memory;
  private readonly translator: Translator;
  private readonly frames = new Map<number, FrameCode>();
  private next: number;
  private readonly place = newPlace();
  /** Times the arena was full and everything was forgotten. */
  resets = 0;
  /** Hears of a block that is dropped, by its header, after it was marked; and that everything is forgotten. */
  onDrop: (header: number) => void = () => {};
  onReset: () => void = () => {};
  /** Blocks decoded, and blocks lost to stores. */
  decoded = 0;
  invalidated = 0;

  constructor(memory: Memory, translator: Translator) {
    this.memory = memory;
    this.translator = translator;
    this.next = memory.layout.arena;
    this.clearJumps();
    memory.onCode = (at, bytes) => this.stored(at, bytes);
  }

  get full(): boolean {
    return this.next + BLOCK_SLOTS_MAX * SLOT_BYTES > this.memory.layout.arenaEnd;
  }
  /** Forgets everything decoded. Only between runs: no record may be in use. */
  reset(): void {
    for (const frame of this.frames.keys()) this.memory.clearFlag(frame / PAGE_BYTES, PAGE_FLAGS.code);
    this.frames.clear();
    this.memory.clearCodeLines();
    this.next = this.memory.layout.arena;
    this.clearJumps();
    this.translator.reset();
    this.onReset();
    this.resets++;
  }
  /** All ones is no entry: no frame has that address. */
  private clearJumps(): void {
    new Uint8Array(this.memory.wasm.buffer, JUMP_CACHE, 16 << JUMP_CACHE_BITS).fill(0xff);
  }

  /**
   * The first record of the block at CONTROL.pc, whose bytes are in `frame`; 0 if the arena is full or a fetch faulted. With
   * bit 0 of `frame` set, of the block of exactly one instruction.
   */
  miss(frame: number): number {
    const { view } = this.memory;
    const pc = view.getBigUint64(CONTROL.pc, true);
    const single = frame & 1;
    const found = this.block(pc, (frame & ~1) >>> 0, single === 1);
    if (!found) return 0;
    const at = jumpCacheAt(Number(pc & 0xffff_ffffn) | 0, single);
    view.setBigUint64(at, pc, true);
    view.setUint32(at + 8, found.header + SLOT_BYTES, true);
    view.setUint32(at + 12, frame, true);
    return found.header + SLOT_BYTES;
  }
  /** For the generated code: notes in CONTROL.pc where an outdated record stands; returns the instructions before it. */
  stale(record: number): number {
    const { view } = this.memory;
    findPlace(view, record, this.place);
    const { pcLo, pcHi, before } = this.place;
    const pc = u64(pcLo, pcHi);
    view.setBigUint64(CONTROL.pc, pc, true);
    if (view.getUint16(record + RECORD.handler, true) === GUARD) {
      const header = record - SLOT_BYTES;
      const code = this.frames.get(view.getUint32(header + HEADER.frame, true));
      for (const block of [code?.whole.get(keyOf(pc)), code?.single.get(keyOf(pc))])
        if (block?.header === header) this.drop(block);
    }
    return before;
  }

  /** The whole block at an address, if it is decoded. */
  known(pc: bigint, frame: number): Block | undefined {
    return this.frames.get(frame)?.whole.get(keyOf(pc));
  }
  private block(pc: bigint, frame: number, single: boolean): Block | undefined {
    const known = this.frames.get(frame);
    const found = (single ? known?.single : known?.whole)?.get(keyOf(pc));
    if (found) return found;
    if (this.full) return undefined;
    const { memory } = this;
    const offset = Number(pc & 4095n);
    const builder = new BlockBuilder(memory.view, this.next, pc, frame);
    const page = memory.guest.subarray(frame + offset, frame + PAGE_BYTES);
    if (!this.translator.translate(builder, page, single ? 1 : BLOCK_INSTRUCTIONS_MAX)) return undefined;
    assert(builder.end - this.next <= BLOCK_SLOTS_MAX * SLOT_BYTES, 'a block fits');
    const { second } = builder;
    const ranges: Range[] = [{ from: frame + offset, to: frame + offset + builder.bytes - (second?.bytes ?? 0) }];
    if (second) ranges.push({ from: second.frame, to: second.frame + second.bytes });
    const block: Block = { pc, header: this.next, end: builder.end, ranges, single };
    this.next = builder.end;
    this.decoded++;
    for (const range of ranges) this.enter(block, range);
    const own = this.frames.get(frame)!;
    (single ? own.single : own.whole).set(keyOf(pc), block);
    return block;
  }
  /** Notes that `block` was decoded from these bytes. */
  private enter(block: Block, range: Range): void {
    const at = frameOf(range.from);
    let code = this.frames.get(at);
    if (!code) {
      code = { whole: new Map(), single: new Map(), lines: new Map() };
      this.frames.set(at, code);
      this.memory.setFlag(at >>> PAGE_SHIFT, PAGE_FLAGS.code);
    }
    for (const line of linesOf(range)) {
      const blocks = code.lines.get(line);
      if (blocks) blocks.add(block);
      else {
        code.lines.set(line, new Set([block]));
        this.memory.setCodeLine(line, true);
      }
    }
  }
  /** Undoes `enter`. A frame of which nothing is decoded any more is no code. */
  private leave(block: Block, range: Range): void {
    const at = frameOf(range.from);
    const code = this.frames.get(at);
    if (!code) return; // both ranges were in one frame
    for (const line of linesOf(range)) {
      const blocks = code.lines.get(line);
      if (!blocks?.delete(block) || blocks.size > 0) continue;
      code.lines.delete(line);
      this.memory.setCodeLine(line, false);
    }
    if (code.lines.size > 0) return;
    this.frames.delete(at);
    this.memory.clearFlag(at >>> PAGE_SHIFT, PAGE_FLAGS.code);
  }

  /** A store into a frame with code: the blocks decoded from these bytes are outdated, and no others. */
  private stored(at: number, bytes: number): void {
    const code = this.frames.get(frameOf(at));
    if (!code) return;
    const stored: Range = { from: at, to: at + bytes };
    for (const line of linesOf(stored))
      for (const block of code.lines.get(line) ?? [])
        if (block.ranges.some(({ from, to }) => from < stored.to && at < to)) this.drop(block);
  }
  private drop(block: Block): void {
    const { view } = this.memory;
    for (let at = block.header + SLOT_BYTES; at < block.end; at += SLOT_BYTES)
      view.setUint16(at + RECORD.handler, STALE, true);
    view.setUint32(CONTROL.changed, 1, true);
    const cached = jumpCacheAt(Number(block.pc & 0xffff_ffffn) | 0, block.single ? 1 : 0);
    if (view.getUint32(cached + 8, true) === block.header + SLOT_BYTES) {
      view.setBigInt64(cached, -1n, true);
      view.setBigInt64(cached + 8, -1n, true);
    }
    const own = this.frames.get(frameOf(block.ranges[0]!.from))!;
    (block.single ? own.single : own.whole).delete(keyOf(block.pc));
    for (const range of block.ranges) this.leave(block, range);
    this.onDrop(block.header);
    this.invalidated++;
  }
}
