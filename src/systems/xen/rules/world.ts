/**
 * What the rules judge, folded from events: the numbers of each frame, the entries of each table, roots, M2P and P2M, and
 * beside the numbers that Xen keeps the references that there are. Whatever an event touched is noted as dirty, so that the
 * rules look at little more than what changed.
 */
import { Trouble } from '../../../base/trouble.js';
import { u64 } from '../../../base/u64.js';
import { type Block, listStart } from '../../../events/block.js';
import { FRAME_KINDS, type FrameKind, KIND_NAMES, type KindName, NO_FRAME, SPACES } from '../../../events/kinds.js';
import { PATH, TYPE } from '../names.js';

/** A live page table. Entries as two words each. */
export interface Table {
  readonly level: number;
  readonly lo: Uint32Array;
  readonly hi: Uint32Array;
  /** Of an L4: the event that wrote each entry last. */
  readonly since: Float64Array | undefined;
}

/** A frame, as Xen says it is, and the references there are. */
export interface FrameFacts {
  type: number;
  typecount: number;
  total: number;
  pinned: number;
  validated: number;
  partial: number;
  /** References by entries of live tables, pins and roots; those that need a type as table; writable entries. */
  refs: number;
  tableRefs: number;
  writableRefs: number;
  /** References that the host had before the guest's first table, being allocated included. */
  baseRefs: number;
  /** References that the host took since for itself, in calls that are not about page tables. */
  hostRefs: number;
  /** Those of the host, at either time, that need the type. */
  hostTypeRefs: number;
  /** The last event that touched any of it; that made the last writable mapping; that gave it its type. */
  touched: number;
  writableSince: number;
  typeSince: number;
}

export const ENTRIES = 512;
/** Slots of an L4 that are Xen's. */
export const XEN_SLOTS = { from: 256, to: 272 } as const;
/** Slots of an L4 that belong to user space. */
export const USER_SLOTS = 256;
const PRESENT = 1;
const WRITABLE = 2;
const ACCESSED_DIRTY = 0x60;
const TABLES_MAX = 65_536;
const GUEST = SPACES.indexOf('guest');
const DOMAIN_ROLES = ['kernel', 'user'] as const;

/** Xen's own slots changed by an event of the guest. */
export interface Trespass {
  readonly seq: number;
  readonly table: number;
  readonly slot: number;
}

type Visit = (block: Block, row: number, seq: number) => void;

export class World {
  readonly frames = new Map<number, FrameFacts>();
  readonly tables = new Map<number, Table>();
  readonly roots = { kernel: NO_FRAME, user: NO_FRAME };
  readonly rootsSince = { kernel: -1, user: -1 };
  readonly m2p = new Map<number, number>();
  readonly p2m = new Map<number, number>();
  /** Frames that are partially validated: their references are not all counted. */
  readonly partial = new Set<number>();

  // What changed since the rules looked last.
  readonly dirtyFrames = new Set<number>();
  /** Entries of L4 tables: frame * 512 + slot. */
  readonly dirtySlots = new Set<number>();
  /** Machine frames, with the event. */
  readonly dirtyM2p = new Map<number, number>();
  readonly trespasses: Trespass[] = [];

  /** The domain has tables: until then its builder is at work, and counts are not judged. */
  started = false;
  /** What is at work is a call by which the host takes references for itself. */
  hostCall = false;
  private readonly visits: readonly (Visit | undefined)[] = KIND_NAMES.map(name => this.visitOf(name));

  /** Takes event i of a block in. */
  take(block: Block, i: number): void {
    this.visits[block.kind[i]!]?.(block, block.row[i]!, block.first + i);
  }
  /** The rules have looked. */
  clean(): void {
    this.dirtyFrames.clear();
    this.dirtySlots.clear();
    this.dirtyM2p.clear();
    this.trespasses.length = 0;
  }
  entry(frame: number, slot: number): bigint {
    const table = this.tables.get(frame);
    return table ? u64(table.lo[slot]!, table.hi[slot]!) : 0n;
  }

  private frame(n: number): FrameFacts {
    let f = this.frames.get(n);
    if (!f) {
      const zero = { type: 0, typecount: 0, total: 0, pinned: 0, validated: 0, partial: 0 };
      const none = { refs: 0, tableRefs: 0, writableRefs: 0, baseRefs: 0, hostRefs: 0, hostTypeRefs: 0 };
      f = { ...zero, ...none, touched: -1, writableSince: -1, typeSince: -1 };
      this.frames.set(n, f);
    }
    return f;
  }
  private touch(n: number, seq: number): FrameFacts {
    const f = this.frame(n);
    f.touched = seq;
    this.dirtyFrames.add(n);
    return f;
  }

  private visitOf(name: KindName): Visit | undefined {
    if (FRAME_KINDS.some(k => k === name))
      return ({ col }, row, seq) => this.number(name as FrameKind, col[name as FrameKind], row, seq);
    switch (name) {
      case 'pte':
        return ({ col: { pte: c } }, row, seq) => {
          if (c.space[row] === GUEST && c.bytes[row] === 8) this.pte(c, row, seq);
        };
      case 'adopt':
        return ({ col: { adopt: c } }, row, seq) => {
          if (c.space[row] === GUEST && c.bytes[row] === 8) this.adopt(c, row, seq);
        };
      case 'release':
        return ({ col: { release: c } }, row, seq) => {
          if (c.space[row] === GUEST) this.release(c.table[row]!, seq);
        };
      case 'root':
        return ({ col: { root: c } }, row, seq) => {
          const role = DOMAIN_ROLES[c.role[row]!];
          if (c.space[row] === GUEST && role) this.root(role, c.new[row]!, seq);
        };
      case 'm2p':
        return ({ col: { m2p: c } }, row, seq) => {
          this.m2p.set(c.machine[row]!, c.new[row]!);
          this.dirtyM2p.set(c.machine[row]!, seq);
        };
      case 'p2m':
        return ({ col: { p2m: c } }, row, seq) => {
          this.p2m.set(c.guest[row]!, c.new[row]!);
          for (const machine of [c.old[row]!, c.new[row]!]) if (machine !== NO_FRAME) this.dirtyM2p.set(machine, seq);
        };
    }
    return undefined;
  }

  private number(kind: FrameKind, c: Block['col'][FrameKind], row: number, seq: number): void {
    const n = c.frame[row]!;
    const f = this.touch(n, seq);
    const [was, now] = [f[kind], c.new[row]!];
    f[kind] = now;
    if (kind === 'type') f.typeSince = seq;
    if (this.hostCall && kind === 'total') f.hostRefs += now - was;
    if (this.hostCall && kind === 'typecount') f.hostTypeRefs += now - was;
    if (kind === 'pinned' && was !== now) {
      f.refs += now - was;
      f.tableRefs += now - was;
    }
    if (kind === 'partial') {
      if (now) this.partial.add(n);
      else this.partial.delete(n);
    }
  }
  /** What entry `slot` of a table refers to, once more (by = 1) or once less. */
  private refer(table: number, level: number, slot: number, lo: number, hi: number, by: 1 | -1, seq: number): void {
    if (!(lo & PRESENT)) return;
    if (level === 4 && slot >= XEN_SLOTS.from && slot < XEN_SLOTS.to) return;
    const target = (hi & 0xf_ffff) * 2 ** 20 + (lo >>> 12);
    if (level > 1 && target === table) return; // a table in itself holds no reference
    const f = this.touch(target, seq);
    f.refs += by;
    if (level > 1) f.tableRefs += by;
    else if (lo & WRITABLE) {
      f.writableRefs += by;
      if (by > 0) f.writableSince = seq;
    }
  }
  private pte(c: Block['col']['pte'], row: number, seq: number): void {
    const n = c.table[row]!;
    const table = this.tables.get(n);
    if (!table) return;
    const slot = (c.offset[row]! >>> 3) % ENTRIES;
    const [lo, hi] = [c.newLo[row]!, c.newHi[row]!];
    const [wasLo, wasHi] = [table.lo[slot]!, table.hi[slot]!];
    table.lo[slot] = lo;
    table.hi[slot] = hi;
    const same = ((lo ^ wasLo) & ~ACCESSED_DIRTY) === 0 && hi === wasHi;
    if (same) return;
    this.refer(n, table.level, slot, wasLo, wasHi, -1, seq);
    this.refer(n, table.level, slot, lo, hi, 1, seq);
    if (!table.since) return;
    table.since[slot] = seq;
    this.dirtySlots.add(n * ENTRIES + slot);
    if (slot >= XEN_SLOTS.from && slot < XEN_SLOTS.to && c.path[row] !== PATH.xen)
      this.trespasses.push({ seq, table: n, slot });
  }
  private adopt(c: Block['col']['adopt'], row: number, seq: number): void {
    const n = c.table[row]!;
    const level = c.level[row]!;
    if (this.frames.get(n)?.type !== level) return; // a table of Xen's own: it counts no references
    this.begin();
    if (this.tables.has(n)) this.release(n, seq);
    if (this.tables.size >= TABLES_MAX) throw new Trouble(`more than ${TABLES_MAX} page tables at once`);
    const since = level === 4 ? new Float64Array(ENTRIES).fill(seq) : undefined;
    const table = { level, lo: new Uint32Array(ENTRIES), hi: new Uint32Array(ENTRIES), since };
    this.tables.set(n, table);
    this.touch(n, seq);
    const first = listStart(c.entriesEnd, row);
    const count = Math.min(ENTRIES, c.entriesEnd[row]! - first);
    for (let slot = 0; slot < count; slot++) {
      const [lo, hi] = [c.entriesLo[first + slot]!, c.entriesHi[first + slot]!];
      table.lo[slot] = lo;
      table.hi[slot] = hi;
      this.refer(n, level, slot, lo, hi, 1, seq);
    }
    if (since) for (let slot = 0; slot < USER_SLOTS; slot++) this.dirtySlots.add(n * ENTRIES + slot);
  }
  private release(n: number, seq: number): void {
    const table = this.tables.get(n);
    if (!table) return;
    this.tables.delete(n);
    this.touch(n, seq);
    for (let slot = 0; slot < ENTRIES; slot++)
      this.refer(n, table.level, slot, table.lo[slot]!, table.hi[slot]!, -1, seq);
    if (table.level === 4) for (let slot = 0; slot < USER_SLOTS; slot++) this.dirtySlots.add(n * ENTRIES + slot);
  }
  private root(role: 'kernel' | 'user', now: number, seq: number): void {
    for (const [frame, by] of [
      [this.roots[role], -1],
      [now, 1],
    ] as const) {
      if (frame === NO_FRAME) continue;
      const f = this.touch(frame, seq);
      f.refs += by;
      f.tableRefs += by;
    }
    this.roots[role] = now;
    this.rootsSince[role] = seq;
  }
  /** Before the domain's first table: what counts are there are the host's own references, and that a frame is allocated. */
  private begin(): void {
    if (this.started) return;
    this.started = true;
    for (const [n, f] of this.frames) {
      this.dirtyFrames.add(n);
      if (f.type !== TYPE.none && f.type !== TYPE.writable) continue; // of the first table, in the making
      f.baseRefs = f.total - f.refs;
      f.hostTypeRefs = f.typecount;
    }
  }
}
