/**
 * Two layers, never mixed.
 *
 * The ARCHITECTURAL TLB is what the guest can notice: 1,024 data and 1,024 code translations, direct mapped by the low
 * ten bits of the page number. An entry comes from a walk and stays, stale or not, until a flush, until its place is
 * taken, or until an access it does not allow walks again (SDM 3A, 4.10.4.1: a page fault drops the entry). It is
 * saved in checkpoints.
 *
 *   entry, 32 bytes:  tag u64 = page address | 1   frame u64   permissions u32   log2 page size u32   -
 *
 * The FAST TAGS only cache the architectural entry of the same place, for one privilege level each, so the inline
 * check of a load is one compare. Dropping fast tags is always allowed and never changes what the guest sees.
 *
 *   data, 32 bytes:   read tag u64   write tag u64   addend u32: host address = low word of va + addend   -   told tag u64
 *   code, 16 bytes:   tag u64   frame u32 (its byte address)   -
 *
 * A tag is the page address, or all ones for none. The check compares it with (va + size - 1) & ~4095: an access that
 * crosses into the next page fails the same compare, so it needs none of its own. A frame that is watched, holds
 * decoded code or is clean since the checkpoint gets no write tag: its first store is slow, and others pay nothing. A
 * watched frame that may be written gets a told tag instead: each of its stores is slow, but asks nobody for permission.
 */

import {
  block,
  brIf,
  type Code,
  call,
  type Func,
  get,
  i32,
  i64,
  type Local,
  label,
  loop,
  ret,
  select,
  set,
  tee,
  type ValueType,
  when,
} from '../../base/wasm.js';
import { ACCESS, FAULT } from './fault.js';
import {
  ARCH_CODE,
  ARCH_DATA,
  CODE_LINE_BYTES,
  CONTROL,
  FAST_CODE,
  FAST_DATA,
  type Layout,
  PAGE_FLAGS,
  PAGE_FLAGS_AT,
  TLB_ENTRIES,
} from './layout.js';
import { PERMISSION, pageOf } from './walk.js';

export const DATA_TAG = { read: 0, write: 8, addend: 16, told: 24 } as const;
export const ARCH = { tag: 0, frame: 8, permissions: 16, shift: 20, bytes: 32 } as const;
export const CODE_TAG = { tag: 0, frame: 8, bytes: 16 } as const;

const at = (address: number): Code => i32.load(i32.const(0), address);

/** Offset of the place of `va` in a table of 2^log2-byte entries: bits 21..12 of va, times the size. */
export const placeOffset = (va: Code, log2: number): Code =>
  i32.and(i32.shrU(i32.wrap(va), i32.const(12 - log2)), i32.const((TLB_ENTRIES - 1) << log2));

/** Shared by data and code: `entry` (a local) := the architectural entry for va, valid for this access; else returns 0. */
function ensure(va: Local, access: Code, entry: Local, table: number, dropFast: Code): Code {
  const found = label('found');
  return [
    set(entry, i32.add(placeOffset(get(va), 5), i32.const(table))),
    block(found, [
      when(i64.eq(i64.load(get(entry), ARCH.tag), i64.or(pageOf(get(va)), i64.const(1))), [
        // A first write must set the dirty bit in the table, so it walks even where writing is allowed.
        brIf(
          found,
          i32.eqz(
            i32.or(
              call('denied', i32.load(get(entry), ARCH.permissions), access),
              i32.and(
                i32.eq(access, i32.const(ACCESS.write)),
                i32.eqz(i32.and(i32.load(get(entry), ARCH.permissions), i32.const(PERMISSION.dirty))),
              ),
            ),
          ),
        ),
      ]),
      when(i32.eqz(call('walk', get(va), access)), [
        when(i64.eq(i64.load(get(entry), ARCH.tag), i64.or(pageOf(get(va)), i64.const(1))), [
          i64.store(get(entry), i64.const(0), ARCH.tag),
          dropFast,
        ]),
        ret(i32.const(0)),
      ]),
      i64.store(get(entry), i64.or(pageOf(get(va)), i64.const(1)), ARCH.tag),
      i64.store(get(entry), i64.load(i32.const(0), CONTROL.walkFrame), ARCH.frame),
      i32.store(get(entry), at(CONTROL.walkPermissions), ARCH.permissions),
      i32.store(get(entry), at(CONTROL.walkShift), ARCH.shift),
      dropFast,
      when(at(CONTROL.tellFills), call('filled', get(entry))),
    ]),
  ];
}

/** Both privileges' fast data tags at the place of va. */
const dropData = (va: Local): Code =>
  [FAST_DATA.user, FAST_DATA.supervisor].flatMap(table => [
    i64.store(placeOffset(get(va), 5), i64.const(-1), table + DATA_TAG.read),
    i64.store(placeOffset(get(va), 5), i64.const(-1), table + DATA_TAG.write),
    i64.store(placeOffset(get(va), 5), i64.const(-1), table + DATA_TAG.told),
  ]);
const dropCode = (va: Local): Code =>
  [FAST_CODE.user, FAST_CODE.supervisor].map(table =>
    i64.store(placeOffset(get(va), 4), i64.const(-1), table + CODE_TAG.tag),
  );

/** data(va, access) -> host address of the byte at va, or 0 with a fault. Installs fast tags. */
function data(layout: Layout): Func {
  const va: Local = { index: 0, type: 'i64' };
  const access: Local = { index: 1, type: 'i32' };
  const entry: Local = { index: 2, type: 'i32' };
  const frame: Local = { index: 3, type: 'i32' };
  const tag: Local = { index: 4, type: 'i32' };
  const writable: Local = { index: 5, type: 'i32' };
  const flags = i32.load8U(i32.shrU(get(frame), i32.const(12)), PAGE_FLAGS_AT);
  const tagWhere = (condition: Code): Code => select(pageOf(get(va)), i64.const(-1), condition);
  return {
    name: 'data',
    params: ['i64', 'i32'],
    result: 'i32',
    locals: ['i32', 'i32', 'i32', 'i32'],
    body: [
      i64.store(i32.const(0), get(va), CONTROL.dataAddress),
      ensure(va, get(access), entry, ARCH_DATA, dropData(va)),
      when(i64.geU(i64.load(get(entry), ARCH.frame), i64.const(layout.guestBytes)), [
        ret(
          call(
            'fault',
            i32.const(FAULT.bus),
            get(access),
            i64.or(i64.load(get(entry), ARCH.frame), i64.and(get(va), i64.const(4095))),
          ),
        ),
      ]),
      set(frame, i32.wrap(i64.load(get(entry), ARCH.frame))),
      set(tag, i32.add(at(CONTROL.fastData), placeOffset(get(va), 5))),
      i64.store(get(tag), pageOf(get(va)), DATA_TAG.read),
      set(
        writable,
        i32.and(
          i32.eqz(call('denied', i32.load(get(entry), ARCH.permissions), i32.const(ACCESS.write))),
          i32.ne(i32.and(i32.load(get(entry), ARCH.permissions), i32.const(PERMISSION.dirty)), i32.const(0)),
        ),
      ),
      i64.store(get(tag), tagWhere(i32.and(get(writable), i32.eqz(flags))), DATA_TAG.write),
      i64.store(
        get(tag),
        tagWhere(i32.and(get(writable), i32.ne(i32.and(flags, i32.const(PAGE_FLAGS.watched)), i32.const(0)))),
        DATA_TAG.told,
      ),
      i32.store(
        get(tag),
        i32.sub(i32.add(get(frame), i32.const(layout.guest)), i32.wrap(pageOf(get(va)))),
        DATA_TAG.addend,
      ),
      i32.add(i32.add(get(frame), i32.const(layout.guest)), i32.and(i32.wrap(get(va)), i32.const(4095))),
    ],
  };
}

/** code(va) -> byte address of the frame | 1, or 0 with a fault. Installs the fast code tag. */
function code(layout: Layout): Func {
  const va: Local = { index: 0, type: 'i64' };
  const entry: Local = { index: 1, type: 'i32' };
  const tag: Local = { index: 2, type: 'i32' };
  const frame = i64.load(get(entry), ARCH.frame);
  return {
    name: 'code',
    params: ['i64'],
    result: 'i32',
    locals: ['i32', 'i32'],
    exported: true,
    body: [
      ensure(va, i32.const(ACCESS.fetch), entry, ARCH_CODE, dropCode(va)),
      when(i64.geU(frame, i64.const(layout.guestBytes)), [
        ret(call('fault', i32.const(FAULT.bus), i32.const(ACCESS.fetch), frame)),
      ]),
      set(tag, i32.add(at(CONTROL.fastCode), placeOffset(get(va), 4))),
      i64.store(get(tag), pageOf(get(va)), CODE_TAG.tag),
      i32.store(get(tag), i32.wrap(frame), CODE_TAG.frame),
      i32.or(i32.wrap(frame), i32.const(1)),
    ],
  };
}

const SIZES = [1, 2, 4, 8] as const;
const loadOf = (bytes: number, from: Code): Code =>
  bytes === 1 ? i64.load8U(from) : bytes === 2 ? i64.load16U(from) : bytes === 4 ? i64.load32U(from) : i64.load(from);
const storeOf = (bytes: number, to: Code, value: Code): Code =>
  bytes === 1
    ? i64.store8(to, value)
    : bytes === 2
      ? i64.store16(to, value)
      : bytes === 4
        ? i64.store32(to, value)
        : i64.store(to, value);
/** One `when` per access size; exactly one applies. */
const bySize = (size: Local, what: (bytes: number) => Code): Code =>
  SIZES.map(bytes => when(i32.eq(get(size), i32.const(bytes)), what(bytes)));
/** True if size bytes at va reach into the next page. */
const crosses = (va: Local, size: Local): Code =>
  i64.ne(pageOf(get(va)), pageOf(i64.add(get(va), i64.extendU(i32.sub(get(size), i32.const(1))))));
const lastByte = (va: Local, size: Local): Code => i64.add(get(va), i64.extendU(i32.sub(get(size), i32.const(1))));

/** Notes where execution is, for whoever is called. */
const note = (record: Local, left: Local): Code => [
  i32.store(i32.const(0), get(record), CONTROL.record),
  i32.store(i32.const(0), get(left), CONTROL.left),
];

/**
 * slow_load(va, size, access, record, left) -> the value; 0 with a fault in the control words.
 * With access write it is the load of a read-modify-write: it needs permission to write, but writes nothing.
 */
function slowLoad(): Func {
  const [va, size, access, record, left] = params('i64', 'i32', 'i32', 'i32', 'i32');
  const host: Local = { index: 5, type: 'i32' };
  const value: Local = { index: 6, type: 'i64' };
  const n: Local = { index: 7, type: 'i32' };
  const next = label('next');
  return {
    name: 'slow_load',
    params: ['i64', 'i32', 'i32', 'i32', 'i32'],
    result: 'i64',
    locals: ['i32', 'i64', 'i32'],
    exported: true,
    body: [
      note(record, left),
      when(i32.eqz(crosses(va, size)), [
        when(i32.eqz(tee(host, call('data', get(va), get(access)))), ret(i64.const(0))),
        bySize(size, bytes => ret(loadOf(bytes, get(host)))),
      ]),
      // Both pages must answer before a byte counts; the lower one faults first.
      when(i32.eqz(call('data', get(va), get(access))), ret(i64.const(0))),
      when(i32.eqz(call('data', pageOf(lastByte(va, size)), get(access))), ret(i64.const(0))),
      set(n, get(size)),
      loop(next, [
        set(n, i32.sub(get(n), i32.const(1))),
        set(host, call('data', i64.add(get(va), i64.extendU(get(n))), get(access))),
        set(value, i64.or(i64.shl(get(value), i64.const(8)), i64.load8U(get(host)))),
        brIf(next, get(n)),
      ]),
      get(value),
    ],
  };
}

const low = (value: Local): Code => i32.wrap(get(value));
const high = (value: Local): Code => i32.wrap(i64.shrU(get(value), i64.const(32)));
/** Not 0 where the frame of a byte of guest memory is watched. */
const isWatched = (paddr: Code): Code =>
  i32.and(i32.load8U(i32.shrU(paddr, i32.const(12)), PAGE_FLAGS_AT), i32.const(PAGE_FLAGS.watched));

/** put(host, size, value): a store inside one page; goes to `trapped` where somebody must know (layout.ts, PAGE_FLAGS). */
function put(layout: Layout): Func {
  const [host, size, value] = params('i32', 'i32', 'i64');
  const flags: Local = { index: 3, type: 'i32' };
  const paddr: Local = { index: 4, type: 'i32' };
  const line = (byte: Code): Code => i32.shrU(byte, i32.const(Math.log2(CODE_LINE_BYTES)));
  const lastByte = i32.add(get(paddr), i32.sub(get(size), i32.const(1)));
  /** Not 0 where instructions were decoded from the line of this byte. */
  const isCode = (byte: Code): Code =>
    i32.and(
      i32.shrU(i32.load8U(i32.shrU(line(byte), i32.const(3)), layout.codeLines), i32.and(line(byte), i32.const(7))),
      i32.const(1),
    );
  return {
    name: 'put',
    params: ['i32', 'i32', 'i64'],
    locals: ['i32', 'i32'],
    body: [
      set(paddr, i32.sub(get(host), i32.const(layout.guest))),
      set(flags, i32.load8U(i32.shrU(get(paddr), i32.const(12)), PAGE_FLAGS_AT)),
      // Data beside code: only the line matters.
      when(i32.eq(get(flags), i32.const(PAGE_FLAGS.code)), [
        when(i32.eqz(i32.or(isCode(get(paddr)), isCode(lastByte))), set(flags, i32.const(0))),
      ]),
      when(
        get(flags),
        call('trapped', get(paddr), get(size), low(value), high(value), i32.const(0)),
        bySize(size, bytes => storeOf(bytes, get(host), get(value))),
      ),
    ],
  };
}

/** slow_store(va, value, size, record, left) -> 1 on a fault (nothing written), else 0. */
function slowStore(layout: Layout): Func {
  const [va, value, size, record, left] = params('i64', 'i64', 'i32', 'i32', 'i32');
  const host: Local = { index: 5, type: 'i32' };
  const tag: Local = { index: 6, type: 'i32' };
  const next = label('next');
  const data = (address: Code): Code => call('data', address, i32.const(ACCESS.write));
  return {
    name: 'slow_store',
    params: ['i64', 'i64', 'i32', 'i32', 'i32'],
    result: 'i32',
    locals: ['i32', 'i32'],
    exported: true,
    body: [
      note(record, left),
      when(i32.eqz(crosses(va, size)), [
        // A watched page known to be writable: most stores that come here.
        set(tag, i32.add(at(CONTROL.fastData), placeOffset(get(va), 5))),
        when(i64.eq(i64.load(get(tag), DATA_TAG.told), pageOf(get(va))), [
          set(host, i32.sub(i32.add(i32.wrap(get(va)), i32.load(get(tag), DATA_TAG.addend)), i32.const(layout.guest))),
          when(isWatched(get(host)), [
            i64.store(i32.const(0), get(va), CONTROL.dataAddress),
            call('trapped', get(host), get(size), low(value), high(value), i32.const(0)),
            ret(i32.const(0)),
          ]),
        ]),
        when(i32.eqz(tee(host, data(get(va)))), ret(i32.const(1))),
        call('put', get(host), get(size), get(value)),
        ret(i32.const(0)),
      ]),
      when(i32.eqz(data(get(va))), ret(i32.const(1))),
      when(i32.eqz(data(pageOf(lastByte(va, size)))), ret(i32.const(1))),
      // Byte by byte: rare, and the two frames may be slow for different reasons.
      loop(next, [
        call('put', data(get(va)), i32.const(1), get(value)),
        set(va, i64.add(get(va), i64.const(1))),
        set(value, i64.shrU(get(value), i64.const(8))),
        brIf(next, tee(size, i32.sub(get(size), i32.const(1)))),
      ]),
      i32.const(0),
    ],
  };
}

function params<T extends readonly ValueType[]>(...types: T): { [K in keyof T]: Local } {
  return types.map((type, index) => ({ index, type })) as { [K in keyof T]: Local };
}

/** The functions data, code, slow_load, put and slow_store; they need walkFunctions. */
export const tlbFunctions = (layout: Layout): readonly Func[] => [
  data(layout),
  code(layout),
  slowLoad(),
  put(layout),
  slowStore(layout),
];

/** The TLB seen from TypeScript: flushes, and dropping fast tags. */
export class Tlb {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;

  constructor(buffer: ArrayBuffer) {
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
    this.dropFast();
  }
  /** Byte address of the frame in the data entry at the place of `va`; right after an access to va, that of va. */
  frameOf(va: bigint): number {
    const entry = ARCH_DATA + Number((va >> 12n) & BigInt(TLB_ENTRIES - 1)) * ARCH.bytes;
    return Number(this.view.getBigUint64(entry + ARCH.frame, true));
  }
  /** Forgets every fast tag. Never visible to the guest. */
  dropFast(): void {
    this.bytes.fill(0xff, FAST_DATA.user, ARCH_DATA);
    this.view.setUint32(CONTROL.changed, 1, true);
  }
  /** Forgets the fast write tags of one frame: from now on stores to it are slow. */
  dropWrites(frameAt: number, guest: number): void {
    for (let at = FAST_DATA.user; at < FAST_CODE.user; at += 32) {
      const page = this.view.getUint32(at + DATA_TAG.write, true);
      if ((this.view.getUint32(at + DATA_TAG.addend, true) + page) >>> 0 === guest + frameAt)
        this.view.setBigUint64(at + DATA_TAG.write, ~0n & 0xffff_ffff_ffff_ffffn, true);
    }
  }
  /** Forgets all fast write tags: the first store to each page is slow again (dirty tracking after a checkpoint). */
  dropAllWrites(): void {
    for (let at = FAST_DATA.user; at < FAST_CODE.user; at += 32) {
      this.view.setInt32(at + DATA_TAG.write, -1, true);
      this.view.setInt32(at + DATA_TAG.write + 4, -1, true);
    }
  }
  /** Flushes architectural entries: all, or all but the global ones (a write to the root register). */
  flush(keepGlobal: boolean): void {
    for (let at = ARCH_DATA; at < ARCH_CODE + TLB_ENTRIES * ARCH.bytes; at += ARCH.bytes) {
      if (keepGlobal && this.view.getUint32(at + ARCH.permissions, true) & PERMISSION.global) continue;
      this.view.setUint32(at, 0, true);
      this.view.setUint32(at + 4, 0, true);
    }
    this.dropFast();
  }
  /** Flushes the page of `va`, every piece of it if it is a large one, global or not (INVLPG). */
  flushPage(va: bigint): void {
    for (let at = ARCH_DATA; at < ARCH_CODE + TLB_ENTRIES * ARCH.bytes; at += ARCH.bytes) {
      const tag = this.view.getBigUint64(at, true);
      if (!(tag & 1n)) continue;
      if ((tag ^ va) >> BigInt(this.view.getUint32(at + ARCH.shift, true))) continue;
      this.view.setBigUint64(at, 0n, true);
    }
    this.dropFast();
  }
}
