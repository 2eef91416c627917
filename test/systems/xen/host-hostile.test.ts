/**
 * Guests that do anything at all: random calls with random arguments, privileged and random instructions, one snippet after
 * the other, with a handler that goes to the next one whatever happened. Xen may refuse, deliver a fault or end the domain;
 * it may not throw, hang, or lose count. A failure names its seed.
 */
import { expect, test } from 'vitest';
import { dice } from '../../state/consistent.js';
import {
  BASE,
  bytes,
  CODE,
  call,
  DATA,
  GATES_END,
  gate,
  HANDLERS,
  HYPERCALL,
  mov,
  OLD_XEN,
  of,
  run,
  u64s,
} from './guest.js';
import { recount } from './mm/recount.js';
import type { World } from './mm/world.js';

const SNIPPETS = 90;
const SNIPPET_BYTES = 128;
/** inc r15; a fresh stack; to snippet r15 of those at CODE + 0x100. */
const NEXT = [
  ...bytes('49 ff c7'),
  ...mov(4, DATA + 0x3800n),
  ...bytes('4c 89 f8 48 c1 e0 07'),
  ...mov(3, CODE + 0x100n),
  ...bytes('48 01 d8 ff e0'),
];
const LAST = 8 * 2 ** 20;

type Roll = (n: number) => number;
const pick = <T>(roll: Roll, from: readonly T[]): T => from[roll(from.length)]!;
/** Addresses, frames, counts and flags that mean something to somebody. */
function value(roll: Roll): bigint {
  const near = BigInt(roll(64)) * 8n;
  switch (roll(9)) {
    case 0:
      return BigInt(roll(8));
    case 1:
      return DATA + near;
    case 2:
      return BASE + BigInt(roll(0x400)) * 4096n + near;
    case 3:
      return pick(roll, [0n, 1n, 0x7ff0n, 0x7ff4n, 0xffff_ffffn, 0x8000_0000n, 1n << 63n, ~0n & ((1n << 64n) - 1n)]);
    case 4:
      return 0xffff_8000_0000_0000n + (BigInt(roll(0x900)) << 36n) + near;
    case 5:
      return BigInt(roll(1400)); // a frame
    case 6:
      return (BigInt(roll(1400)) << 12n) | BigInt(pick(roll, [0, 1, 3, 5, 7, 0x27, 0x63, 0x67, 0xe7])); // an entry
    case 7:
      return pick(roll, [0x7fff_ffff_f000n, 0x8000_0000_0000n, 0xffff_8800_0000_0000n, 0xffff_ffff_ffff_f000n]) + near;
    default:
      return (BigInt(roll(2 ** 31)) << 33n) | BigInt(roll(2 ** 31));
  }
}
/** Not the ways to end a run, but for a few. */
const CALLS = [0, 1, 2, 3, 4, 5, 8, 9, 10, 12, 13, 14, 17, 18, 20, 21, 22, 24, 25, 26, 27, 28, 30, 32, 33, 40, 63];
const INSTRUCTIONS = [
  '0f0b',
  '0f05',
  'cc',
  'cd80',
  'cd30',
  'f4',
  'fa',
  'fb',
  '0f20c0',
  '0f20d8',
  '0f22c0',
  '0f22e0',
  '0f2200',
  '0f30',
  '0f32',
  '0f31',
  'e460',
  'ef',
  '6c',
  '6e',
  'f36e',
  '0f06',
  '0f09',
  '0f0138',
  '0f0117',
  '0f01f8',
  '0f00d8',
  '8ed8',
  '8ed0',
  '8ee8',
  '0f21f8',
  '0f23f8',
  '0f0b78656e0fa2',
  '0fa2',
  '48cf',
  '48cb',
  '9d',
  '488903',
  '480103',
  '48870b',
  '48ff03',
  'f3a4',
  'f348ab',
  '0f0118',
  '0f0110',
  '48a1',
  '0f1f00',
  'd9e8',
  '0f58c1',
  '660fefc0',
] as const;
function snippet(roll: Roll): number[] {
  const registers = [0, 1, 2, 3, 6, 7, 8, 10];
  const loads = registers.slice(0, roll(5)).flatMap(r => mov(r, value(roll)));
  switch (roll(4)) {
    case 0:
      return [...loads, ...Array.from({ length: 1 + roll(8) }, () => roll(256))];
    case 1:
      return [...loads, ...bytes(pick(roll, INSTRUCTIONS))];
    default:
      return call(pick(roll, CALLS), ...Array.from({ length: 5 }, () => value(roll)));
  }
}
/** Arrays that calls may be pointed at: requests, entries, descriptors, all as random as the rest. */
const material = (roll: Roll): number[] => u64s(...Array.from({ length: 128 }, () => value(roll)));

test.for(Array.from({ length: 12 }, (_, n) => n + 1))('a guest that does anything at all, seed %i', seed => {
  const roll = dice(seed);
  const old = seed % 2 === 0;
  const gates = [...[0, 1, 3, 4, 6, 7, 10, 11, 12, 13, 14].flatMap(v => gate(v, HANDLERS, roll(8))), ...GATES_END];
  const table = [...gates, ...new Array<number>(0x400 - gates.length).fill(0), ...material(roll)];
  const set = [...call(HYPERCALL.trapTable, DATA), ...(seed % 3 ? call(HYPERCALL.assist, 0n, 2n) : [])];
  const code = [...set, ...mov(15, BigInt.asUintN(64, -1n)), ...NEXT];
  code.push(...new Array<number>(0x100 - code.length).fill(0x90));
  for (let n = 0; n < SNIPPETS; n++) {
    const body = snippet(roll);
    const back = SNIPPET_BYTES * (n + 1) + 0x100;
    const jump = Number(HANDLERS - CODE) - (back - SNIPPET_BYTES + body.length + 5);
    code.push(...body, 0xe9, ...new Uint8Array(new Int32Array([jump]).buffer));
    code.push(...new Array<number>(back - code.length).fill(0x90));
  }
  expect(code.length).toBeLessThan(Number(HANDLERS - CODE));
  const made = run(code, { data: table, handlers: NEXT, notes: old ? [OLD_XEN] : [], ticks: 50_000, stride: 997 });
  expect(made.xen.memory.guest.length).toBeLessThan(LAST);
  recount({ mm: made.xen.mm, domain: made.xen, memory: made.xen.memory } as unknown as World);
  expect(of(made.events, 'call').length).toBeGreaterThan(0);
});
