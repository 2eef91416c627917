/**
 * Memory operands of sixteen bytes. Inside a page they are one access; the slow path goes by halves, and looks at both
 * before it stores the first. A store into a watched page is told as two stores of eight bytes.
 */

import { v128 } from '../../base/simd.js';
import { brIf, type Code, call, choose, type Func, get, i32, i64, type Local, ret, when } from '../../base/wasm.js';
import { ACCESS } from './fault.js';
import { hit, hostAddress, L, TO } from './kit.js';
import { CONTROL, HIDDEN } from './layout.js';

/** The sixteen bytes at L.va. Leaves the handler on a fault. */
export const loadVector: Code = choose('v128', hit(16, 'read'), v128.load(hostAddress), [
  brIf(TO.fault, call('slow_load16', get(L.va), get(L.record), get(L.left))),
  v128.load(i32.const(0), HIDDEN.vector),
]);
/** Stores the sixteen bytes at `from`, in linear memory, at L.va. Leaves the handler on a fault. */
export const storeVector = (from: Code): Code =>
  when(
    hit(16, 'write'),
    v128.store(hostAddress, v128.load(from)),
    brIf(TO.fault, call('slow_store16', get(L.va), from, get(L.record), get(L.left))),
  );

const va: Local = { index: 0, type: 'i64' };
const faulted = i32.load(i32.const(0), CONTROL.faultKind);
const half = (n: 0 | 8): Code => (n ? i64.add(get(va), i64.const(n)) : get(va));

/** slow_load16(va, record, left) -> 1 on a fault; else 0, with the bytes in HIDDEN.vector. */
function slowLoad16(): Func {
  const record: Local = { index: 1, type: 'i32' };
  const left: Local = { index: 2, type: 'i32' };
  const piece = (n: 0 | 8): Code => [
    i64.store(
      i32.const(0),
      call('slow_load', half(n), i32.const(8), i32.const(ACCESS.read), get(record), get(left)),
      HIDDEN.vector + n,
    ),
    when(faulted, ret(i32.const(1))),
  ];
  return {
    name: 'slow_load16',
    params: ['i64', 'i32', 'i32'],
    result: 'i32',
    body: [piece(0), piece(8), i32.const(0)],
  };
}
/** slow_store16(va, from, record, left) -> 1 on a fault, with nothing written; else 0. */
function slowStore16(): Func {
  const from: Local = { index: 1, type: 'i32' };
  const record: Local = { index: 2, type: 'i32' };
  const left: Local = { index: 3, type: 'i32' };
  const probe = (n: 0 | 8): Code => [
    call('slow_load', half(n), i32.const(8), i32.const(ACCESS.write), get(record), get(left)),
    0x1a,
    when(faulted, ret(i32.const(1))),
  ];
  const piece = (n: 0 | 8): Code => [
    call('slow_store', half(n), i64.load(get(from), n), i32.const(8), get(record), get(left)),
    0x1a,
  ];
  return {
    name: 'slow_store16',
    params: ['i64', 'i32', 'i32', 'i32'],
    result: 'i32',
    body: [probe(0), probe(8), piece(0), piece(8), i32.const(0)],
  };
}
export const VECTOR_FUNCTIONS: readonly Func[] = [slowLoad16(), slowStore16()];
