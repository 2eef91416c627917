/**
 * Which code runs often, and making regions of it. Nothing is counted while code runs: the run loop stops now and then
 * between two blocks, and where it stops several times is hot. A region is the blocks around such a place that follow each
 * other directly. What becomes a region, and when, has no effect that the guest or a recording could tell.
 *
 * Its blocks stay where they are. The handler of each first record becomes REGION, which calls the region's function; the
 * handler itself is kept in the header. When one block of a region is dropped, the others get their handlers back.
 */
import { PAGE_BYTES } from '../../../base/brand.js';
import { u64 } from '../../../base/u64.js';
import { type Engine, REGIONS_MAX } from '../build.js';
import type { Block, CodeCache } from '../code.js';
import { CONTROL, TLB_ENTRIES } from '../layout.js';
import type { Memory } from '../memory.js';
import { EXIT, GUARD, HEADER, handlerOf, OUT, RECORD, REGION, SLOT_BYTES, STALE } from '../records.js';
import { CODE_TAG } from '../tlb.js';
import { type Callable, callableOf } from './callable.js';
import { compileRegion, type Hints, type Member } from './compile.js';
import { canCall } from './specialise.js';

/** Instructions between two looks at where execution is. */
const SAMPLE_TICKS = 2 ** 18;
/** As often as this of so many looks is often. */
const OFTEN = 3;
const LOOKS = 256;
const MEMBERS_MAX = 48;
/** A region that does fewer instructions each time it is entered costs more than it gains. */
const WORTHWHILE = 64;
const ENTRIES_TO_JUDGE = 1000;
/** Leaving a region once in more instructions than this costs less than a call in it. */
const LEAVE_TICKS = 4096;

interface Region {
  readonly index: number;
  readonly members: readonly Member[];
}

export class HotCode {
  private readonly memory: Memory;
  private readonly code: CodeCache;
  private readonly engine: Engine;
  private readonly hints: Hints;
  private readonly callable: Callable;
  private readonly regions = new Map<number, Region>();
  /** By the header of each block in it. */
  private readonly owners = new Map<number, Region>();
  private seen = new Map<number, number>();
  /** Records at which regions were left, and how often that was seen. */
  private left = new Map<number, number>();
  /** Records at which regions were left often: there they call, if they can. */
  readonly calling = new Set<number>();
  private looks = 0;
  /** Where a region was not worth it. */
  private readonly refused = new Set<bigint>();
  /** How hard to look; for tests. Infinity does not look at all. */
  sampleTicks = SAMPLE_TICKS;
  often = OFTEN;
  /** Regions made, and regions given up. */
  made = 0;
  dropped = 0;

  constructor(memory: Memory, code: CodeCache, engine: Engine, hints: Hints) {
    this.memory = memory;
    this.code = code;
    this.engine = engine;
    this.hints = hints;
    this.callable = callableOf(engine.functions);
    code.onDrop = header => {
      const region = this.owners.get(header);
      if (region) this.drop(region);
    };
    code.onReset = () => this.forget();
  }

  /** Execution is at the address in these words, between two blocks, after so many instructions. */
  sample(pcLo: number, pcHi: number, ticks: number): void {
    if (++this.looks % LOOKS === 0) {
      this.seen.clear();
      this.left.clear();
      this.judge();
    }
    this.sampleLeaves(ticks);
    const key = (pcHi | 0) * 2 ** 32 + pcLo; // exact for addresses of 48 bits, sign-extended
    const times = (this.seen.get(key) ?? 0) + 1;
    this.seen.set(key, times);
    if (times < this.often) return;
    const pc = u64(pcLo, pcHi);
    if (this.refused.has(pc)) return;
    this.seen.delete(key);
    this.make(pc);
  }
  /** Where the same record makes a region be left again and again, the region is made anew and calls there. */
  private sampleLeaves(ticks: number): void {
    const { view } = this.memory;
    const leaves = view.getUint32(CONTROL.leaves, true);
    if (leaves === 0) return;
    view.setUint32(CONTROL.leaves, 0, true);
    const record = view.getUint32(CONTROL.leftAt, true);
    if (record === 0 || leaves * LEAVE_TICKS < ticks || this.calling.has(record)) return;
    const times = (this.left.get(record) ?? 0) + 1;
    this.left.set(record, times);
    if (times < this.often) return;
    this.calling.add(record);
    const region = this.owners.get(record - SLOT_BYTES * view.getUint16(record + RECORD.place, true));
    if (!region || !canCall(this.engine.all[handlerOf(view, record)]!.code)) return;
    this.uninstall(region);
    this.install(region.members);
  }
  /** Makes a region around the block at `pc`, if that is decoded and in none. Between runs. */
  make(pc: bigint): void {
    if (this.regions.size >= REGIONS_MAX) return;
    // Together with the regions it runs into, if that is not too much; else beside them.
    const all = this.around(pc, true);
    const members = all.length < MEMBERS_MAX ? all : this.around(pc, false);
    if (members.length === 0) return;
    for (const { header } of members) {
      const owner = this.owners.get(header);
      if (owner) this.drop(owner);
    }
    this.install(members);
    this.made++;
  }
  private forget(): void {
    for (const { index } of this.regions.values()) this.engine.exports.table.set(index, null);
    this.regions.clear();
    this.owners.clear();
    this.refused.clear();
    this.seen.clear();
    this.left.clear();
    this.calling.clear();
  }

  /** The blocks that may follow the one at `pc`, by address; with those of regions or without. None if it is in one already. */
  private around(pc: bigint, withRegions: boolean): readonly Member[] {
    const found = new Map<bigint, Member>();
    const frames = new Map<bigint, number>();
    const waiting = [pc];
    for (const at of waiting) {
      if (found.size >= MEMBERS_MAX) break;
      if (found.has(at)) continue;
      const page = at >> 12n;
      const frame = frames.get(page) ?? this.frameOf(at);
      const block = frame === undefined ? undefined : this.code.known(at, frame);
      const member = block && this.memberOf(block, withRegions && at !== pc);
      if (frame === undefined || !member) continue;
      frames.set(page, frame);
      found.set(at, member);
      waiting.push(...this.following(member));
    }
    return [...found.values()].sort((a, b) => (a.pc < b.pc ? -1 : 1));
  }
  /** The frame of code at `va`, as far as that is known without a walk. */
  private frameOf(va: bigint): number | undefined {
    const { view } = this.memory;
    const tag = view.getUint32(CONTROL.fastCode, true) + Number((va >> 12n) & BigInt(TLB_ENTRIES - 1)) * CODE_TAG.bytes;
    const page = va & ~BigInt(PAGE_BYTES - 1);
    return view.getBigUint64(tag + CODE_TAG.tag, true) === page
      ? view.getUint32(tag + CODE_TAG.frame, true)
      : undefined;
  }
  private memberOf({ header, end, pc }: Block, ofRegions: boolean): Member | undefined {
    const { view } = this.memory;
    const now = view.getUint16(header + SLOT_BYTES, true);
    const handler = now === REGION && ofRegions ? view.getUint16(header + HEADER.first, true) : now;
    // Instructions across pages, and blocks of nothing but what TypeScript does, stay with the interpreter.
    return handler === REGION || handler === GUARD || handler === OUT || handler === STALE
      ? undefined
      : { header, end, pc, handler };
  }
  private following({ end }: Member): readonly bigint[] {
    const { view } = this.memory;
    const exit = end - SLOT_BYTES;
    if (view.getUint16(exit, true) !== STALE) return []; // no exit: the last record leaves by itself
    const taken = view.getBigUint64(exit + EXIT.takenPc, true);
    const fall = view.getBigUint64(exit + EXIT.fallPc, true);
    return taken === 0n ? [fall] : [fall, taken];
  }

  private install(members: readonly Member[]): void {
    const { view, wasm, layout } = this.memory;
    let index = 0;
    while (this.regions.has(index)) index++;
    const module = compileRegion(view, members, this.engine.all, this.callable, this.hints, this.calling, layout.pages);
    const { slow_load, slow_store } = this.engine.exports;
    const instance = new WebAssembly.Instance(module, { env: { memory: wasm, slow_load, slow_store } });
    this.engine.exports.table.set(index, instance.exports.region);
    const region: Region = { index, members };
    this.regions.set(index, region);
    members.forEach(({ header, handler }, entry) => {
      this.owners.set(header, region);
      view.setUint16(header + HEADER.first, handler, true);
      view.setUint16(header + HEADER.entry, entry, true);
      view.setUint32(header + HEADER.region, index, true);
      view.setUint16(header + SLOT_BYTES, REGION, true);
    });
    this.clearStatistics(region);
  }
  private drop(region: Region): void {
    this.uninstall(region);
    this.dropped++;
  }
  private uninstall({ index, members }: Region): void {
    const { view } = this.memory;
    for (const { header, handler } of members) {
      this.owners.delete(header);
      if (view.getUint16(header + SLOT_BYTES, true) === REGION) view.setUint16(header + SLOT_BYTES, handler, true);
    }
    this.engine.exports.table.set(index, null);
    this.regions.delete(index);
  }
  private clearStatistics({ members }: Region): void {
    this.memory.view.setUint32(members[0]!.header + HEADER.entries, 0, true);
    this.memory.view.setBigInt64(members[0]!.header + HEADER.instructions, 0n, true);
  }
  /** Gives up regions that are left as soon as they are entered. */
  private judge(): void {
    const { view } = this.memory;
    for (const region of this.regions.values()) {
      const at = region.members[0]!.header;
      const entries = view.getUint32(at + HEADER.entries, true);
      if (entries < ENTRIES_TO_JUDGE) continue;
      if (Number(view.getBigInt64(at + HEADER.instructions, true)) < WORTHWHILE * entries) {
        for (const { pc } of region.members) this.refused.add(pc);
        this.drop(region);
      } else this.clearStatistics(region);
    }
  }
}
