/**
 * The page walk, generated from a description of the paging format, so that a TLB miss never leaves WebAssembly
 * (a call out costs ten walks). What the description must say is small: where the indices are, which bits mean what.
 *
 *   walk(va, access) -> 1, with frame, permissions and page size in the control words; or 0, with a fault there
 *
 * Accessed bits are set level by level as the walk uses an entry, the leaf's accessed and dirty bits only when the
 * access is allowed. Each such write goes through `walker_store`, so a watched table shows it as an event.
 */

import {
  block,
  br,
  type Code,
  call,
  choose,
  type Func,
  get,
  i32,
  i64,
  type Local,
  label,
  set,
  when,
} from '../../base/wasm.js';
import { ACCESS, FAULT } from './fault.js';
import { CONTROL, type Layout, PAGE_FLAGS_AT } from './layout.js';

/** A paging format of 8-byte entries, top level first. Bit values are u64 masks. */
export interface WalkFormat {
  readonly name: string;
  readonly levels: readonly {
    readonly shift: number;
    readonly bits: number;
    /** The entry may be a page of 2^shift bytes when its `large` bit is set. */
    readonly large: boolean;
    /** Must be zero in an entry that points to a table, in one that maps a page. */
    readonly reservedTable: bigint;
    readonly reservedPage: bigint;
  }[];
  readonly present: bigint;
  readonly write: bigint;
  readonly user: bigint;
  readonly accessed: bigint;
  readonly dirty: bigint;
  readonly large: bigint;
  readonly global: bigint;
  /** Reserved while WALK.noExecute is off. */
  readonly noExecute: bigint;
  readonly frameMask: bigint;
  readonly rootMask: bigint;
  /** Virtual addresses are sign-extended from this many bits. */
  readonly vaddrBits: number;
}

/** Control word walkFlags: how the processor is set up. */
export const WALK = { paging: 1, user: 2, writeProtect: 4, noExecute: 8, global: 16 } as const;
/** Permissions in a TLB entry, along the whole walk. */
export const PERMISSION = { write: 2, user: 4, global: 8, dirty: 16, noExecute: 32 } as const;

const control = (at: number): Code => i32.load(i32.const(0), at);
export const walkFlag = (flag: number): Code => i32.and(control(CONTROL.walkFlags), i32.const(flag));
export const pageOf = (va: Code): Code => i64.and(va, i64.const(-4096n));

/** fault(kind, access, detail) -> 0: notes the fault, for `return fault(...)`. */
const fault: Func = {
  name: 'fault',
  params: ['i32', 'i32', 'i64'],
  result: 'i32',
  body: [
    i32.store(i32.const(0), get({ index: 0, type: 'i32' }), CONTROL.faultKind),
    i32.store(i32.const(0), get({ index: 1, type: 'i32' }), CONTROL.faultAccess),
    i64.store(i32.const(0), get({ index: 2, type: 'i64' }), CONTROL.faultDetail),
    i32.const(0),
  ],
};

/** denied(permissions, access) -> not 0 if the current privilege may not. Dirty is not looked at. */
const denied: Func = (() => {
  const permissions: Local = { index: 0, type: 'i32' };
  const access: Local = { index: 1, type: 'i32' };
  const lacks = (bit: number): Code => i32.eqz(i32.and(get(permissions), i32.const(bit)));
  return {
    name: 'denied',
    params: ['i32', 'i32'],
    result: 'i32',
    body: i32.or(
      i32.and(i32.ne(walkFlag(WALK.user), i32.const(0)), lacks(PERMISSION.user)),
      i32.or(
        i32.and(
          i32.eq(get(access), i32.const(ACCESS.write)),
          i32.and(lacks(PERMISSION.write), i32.ne(walkFlag(WALK.user | WALK.writeProtect), i32.const(0))),
        ),
        i32.and(i32.eq(get(access), i32.const(ACCESS.fetch)), i32.eqz(lacks(PERMISSION.noExecute))),
      ),
    ),
  };
})();

/** walker_store(paddr, value): the walker's own write to an entry. Plain, unless stores to the frame are slow. */
function walkerStore(layout: Layout): Func {
  const at: Local = { index: 0, type: 'i32' };
  const value: Local = { index: 1, type: 'i64' };
  return {
    name: 'walker_store',
    params: ['i32', 'i64'],
    body: when(
      i32.load8U(i32.shrU(get(at), i32.const(12)), PAGE_FLAGS_AT),
      call(
        'trapped',
        get(at),
        i32.const(8),
        i32.wrap(get(value)),
        i32.wrap(i64.shrU(get(value), i64.const(32))),
        i32.const(1),
      ),
      i64.store(get(at), get(value), layout.guest),
    ),
  };
}

function walk(format: WalkFormat, layout: Layout): Func {
  const va: Local = { index: 0, type: 'i64' };
  const access: Local = { index: 1, type: 'i32' };
  const table: Local = { index: 2, type: 'i64' };
  const entry: Local = { index: 3, type: 'i64' };
  const permissions: Local = { index: 4, type: 'i32' };
  const at: Local = { index: 5, type: 'i32' };
  const wanted: Local = { index: 6, type: 'i64' };
  const failed = label('failed');
  const kind: Local = { index: 7, type: 'i32' };

  const fails = (condition: Code, why: number): Code => when(condition, [set(kind, i32.const(why)), br(failed)]);
  const has = (bits: bigint): Code => i64.ne(i64.and(get(entry), i64.const(bits)), i64.const(0));
  const succeed = (frame: Code, shift: number): Code => [
    i64.store(i32.const(0), frame, CONTROL.walkFrame),
    i32.store(i32.const(0), get(permissions), CONTROL.walkPermissions),
    i32.store(i32.const(0), i32.const(shift), CONTROL.walkShift),
    i32.const(1),
    0x0f, // return
  ];
  const storeIfChanged = (bits: Code): Code => [
    set(wanted, i64.or(get(entry), bits)),
    when(i64.ne(get(wanted), get(entry)), call('walker_store', get(at), get(wanted))),
  ];
  const isWrite = i32.eq(get(access), i32.const(ACCESS.write));

  const leaf = (n: number): Code => {
    const { shift, reservedPage } = format.levels[n]!;
    const offsets = (1n << BigInt(shift)) - 1n;
    return [
      fails(has(reservedPage), FAULT.reserved),
      fails(call('denied', get(permissions), get(access)), FAULT.denied),
      storeIfChanged(i64.or(i64.const(format.accessed), select64(i64.const(format.dirty), i64.const(0), isWrite))),
      when(
        i32.and(has(format.global), i32.ne(walkFlag(WALK.global), i32.const(0))),
        set(permissions, i32.or(get(permissions), i32.const(PERMISSION.global))),
      ),
      when(
        i64.ne(i64.and(get(wanted), i64.const(format.dirty)), i64.const(0)),
        set(permissions, i32.or(get(permissions), i32.const(PERMISSION.dirty))),
      ),
      succeed(
        i64.or(
          i64.and(get(entry), i64.const(format.frameMask & ~offsets)),
          i64.and(get(va), i64.const(offsets & ~4095n)),
        ),
        shift,
      ),
    ];
  };
  const levels = format.levels.map(
    ({ shift, bits, large, reservedTable }, n): Code => [
      // The table must be in memory; u64 comparison, so no wrap below.
      when(i64.geU(get(table), i64.const(layout.guestBytes)), [
        call('fault', i32.const(FAULT.bus), get(access), get(table)),
        0x0f,
      ]),
      set(
        at,
        i32.add(
          i32.wrap(get(table)),
          i32.shl(i32.and(i32.wrap(i64.shrU(get(va), i64.const(shift))), i32.const((1 << bits) - 1)), i32.const(3)),
        ),
      ),
      set(entry, i64.load(get(at), layout.guest)),
      fails(i32.eqz(has(format.present)), FAULT.absent),
      fails(i32.and(has(format.noExecute), i32.eqz(walkFlag(WALK.noExecute))), FAULT.reserved),
      when(i32.eqz(has(format.write)), set(permissions, i32.and(get(permissions), i32.const(~PERMISSION.write)))),
      when(i32.eqz(has(format.user)), set(permissions, i32.and(get(permissions), i32.const(~PERMISSION.user)))),
      when(has(format.noExecute), set(permissions, i32.or(get(permissions), i32.const(PERMISSION.noExecute)))),
      n === format.levels.length - 1 ? leaf(n) : large ? when(has(format.large), leaf(n)) : [],
      n === format.levels.length - 1
        ? []
        : [
            fails(has(reservedTable), FAULT.reserved),
            storeIfChanged(i64.const(format.accessed)),
            set(table, i64.and(get(entry), i64.const(format.frameMask))),
          ],
    ],
  );
  const unused = 64 - format.vaddrBits;
  return {
    name: 'walk',
    params: ['i64', 'i32'],
    result: 'i32',
    locals: ['i64', 'i64', 'i32', 'i32', 'i64', 'i32'],
    body: [
      block(failed, [
        set(permissions, i32.const(PERMISSION.write | PERMISSION.user)),
        when(i32.eqz(walkFlag(WALK.paging)), [
          set(permissions, i32.or(get(permissions), i32.const(PERMISSION.dirty))),
          succeed(pageOf(get(va)), 12),
        ]),
        fails(i64.ne(i64.shrS(i64.shl(get(va), i64.const(unused)), i64.const(unused)), get(va)), FAULT.unmeaning),
        set(table, i64.and(i64.load(i32.const(0), CONTROL.root), i64.const(format.rootMask))),
        levels,
      ]),
      call('fault', get(kind), get(access), get(va)),
    ],
  };
}

const select64 = (yes: Code, no: Code, condition: Code): Code => choose('i64', condition, yes, no);

/** The functions fault, denied, walker_store and walk. They call the import `trapped` (memory.ts). */
export const walkFunctions = (format: WalkFormat, layout: Layout): readonly Func[] => [
  fault,
  denied,
  walkerStore(layout),
  walk(format, layout),
];
