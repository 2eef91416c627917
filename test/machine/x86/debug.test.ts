/** Single steps and breakpoints. */
import { expect, test } from 'vitest';
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { deliver } from '../../../src/machine/x86/deliver.js';
import { bytes, R } from '../engine/guest.js';
import { CODE_AT, ENTRY, KERNELS } from '../engine/kernels.js';
import { AT, gate, HALT, handlerOf, kernel, put, run, stackWords, write } from './kernel.js';

const TF = 0x100n;
const DEBUG = { kind: 'trap', trap: { vector: 1, code: undefined, address: undefined, kind: 'trap' } };
const DEBUG_FAULT = { ...DEBUG, trap: { ...DEBUG.trap, kind: 'fault' } };
const ARITHMETIC = 0x8d5n;
const BS = 1n << 14n;
const registers = (cpu: Cpu): bigint[] => Array.from({ length: 17 }, (_, reg) => cpu.get(reg));
const dr6 = (cpu: Cpu): bigint => cpu.get(R.dr6!) & 0xf00fn;

test('a program stepped with TF goes through the same states as one stepped by the machine', () => {
  const make = (rflags: bigint): Cpu => {
    // Compiled code that sorts, hashes and so on, called with what to do and how much.
    const { cpu, tables } = kernel({ kernel: 'f4' }, { rdi: 2n, rsi: 40n, rdx: 0x20_0000n, rflags });
    for (let at = 0; at < 0x10_0000; at += 0x1000) if (at >= CODE_AT) tables.map(BigInt(at), at, 3n);
    for (let at = 0x20_0000; at < 0x21_0000; at += 0x1000) tables.map(BigInt(at), at, 3n);
    cpu.memory.hostWrite(asPaddr(CODE_AT), bytes(KERNELS));
    cpu.set(R.rip!, BigInt(ENTRY));
    cpu.set(R.rsp!, AT.kernelStack - 8n);
    put(cpu, AT.kernelStack - 8n, AT.kernel);
    return cpu;
  };
  const [trapping, stepping] = [make(0x302n), make(0x202n)];
  let steps = 0;
  for (; steps < 3000; steps++) {
    const exit = trapping.machine.run(asTicks(1e9));
    const same = stepping.machine.step();
    if (exit.kind !== 'trap') {
      // hlt with TF: the trap behind it ends the halt at once, so that is not how it stops.
      throw new Error(`stopped with ${exit.kind}`);
    }
    expect(exit).toEqual(DEBUG);
    if (same.kind === 'halt') break;
    if (registers(trapping).some((value, reg) => value !== stepping.get(reg)))
      expect(registers(trapping), `after step ${steps}`).toEqual(registers(stepping));
  }
  expect(steps).toBeGreaterThan(500);
  expect(trapping.machine.ticks).toBe(stepping.machine.ticks);
  expect(dr6(trapping)).toBe(BS);
});

test('popf and iret that set TF are followed by one whole instruction before the trap', () => {
  const { cpu } = kernel({ kernel: '9d 90 90 f4' }); // popf; nop; nop
  put(cpu, 0x8ff8n, 0x302n);
  cpu.set(R.rsp!, 0x8ff8n);
  expect(run(cpu)).toEqual(DEBUG);
  expect([cpu.get(R.rip!), cpu.machine.ticks, dr6(cpu)]).toEqual([AT.kernel + 2n, 2, BS]);
});

test('a popf that clears TF is still followed by the trap, and nothing after it', () => {
  const { cpu } = kernel({ kernel: '9d 90 f4' }, { rflags: 0x302n, rsp: 0x8ff8n });
  put(cpu, 0x8ff8n, 2n);
  expect(run(cpu)).toEqual(DEBUG);
  expect(cpu.get(R.rip!)).toBe(AT.kernel + 1n);
  expect(run(cpu)).toEqual(HALT);
});

test('the handler of a single step runs at full speed, and iret goes on with the next one', () => {
  const { cpu } = kernel({ user: '48ffc0 48ffc0 48ffc0 cc' }, { rflags: 0x302n });
  gate(cpu, 1);
  gate(cpu, 3, 0xee);
  write(cpu, handlerOf(1), '48ffc3 48cf'); // inc rbx; iretq
  const seen: bigint[] = [];
  for (let n = 0; n < 3; n++) {
    const exit = run(cpu);
    expect(exit).toEqual(DEBUG);
    seen.push(cpu.get(R.rip!));
    if (exit.kind === 'trap') deliver(cpu, exit.trap);
    expect(cpu.get(R.rflags!) & TF).toBe(0n);
    expect(stackWords(cpu, 3)[2]! & ~ARITHMETIC).toBe(0x302n);
  }
  expect(seen).toEqual([3n, 6n, 9n].map(n => AT.user + n));
  // int3 clears TF itself: no trap behind it, but TF in what it pushed.
  const exit = run(cpu);
  expect(exit).toMatchObject({ trap: { vector: 3 } });
  if (exit.kind === 'trap') deliver(cpu, exit.trap);
  expect(stackWords(cpu, 3)[2]! & ~ARITHMETIC).toBe(0x302n);
  expect([cpu.get(R.rax!), cpu.get(R.rbx!)]).toEqual([3n, 3n]);
});

test('syscall clears TF by its mask and is not followed by a trap; without the mask it is', () => {
  for (const [fmask, expected, rip] of [
    [TF, HALT, 0x1801n],
    [0n, DEBUG, 0x1800n],
  ] as const) {
    const { cpu } = kernel({ user: '0f05' }, { rflags: 0x302n, fmask, lstar: 0x1800n, star: 0x23_0010_0000_0000n });
    write(cpu, 0x1800n, 'f4');
    expect(run(cpu)).toEqual(expected);
    expect(cpu.get(R.rip!)).toBe(rip);
  }
});

test('a faulting instruction has no single step, and its fault comes with RF and TF pushed', () => {
  const { cpu } = kernel({ user: '488b03' }, { rflags: 0x302n, rbx: 0x40_0000n });
  gate(cpu, 14);
  const exit = run(cpu);
  expect(exit).toMatchObject({ trap: { vector: 14 } });
  if (exit.kind === 'trap') deliver(cpu, exit.trap);
  expect(stackWords(cpu, 4)[3]).toBe(0x1_0302n);
  expect(dr6(cpu)).toBe(0n);
});

test('behind mov ss there is no trap until after the next instruction', () => {
  const { cpu } = kernel({ kernel: '8ed0 90 f4' }, { rflags: 0x302n });
  expect(run(cpu)).toEqual(DEBUG);
  expect(cpu.get(R.rip!)).toBe(AT.kernel + 3n);
});

test('the host finishes an instruction, and the single step comes behind it', () => {
  const { cpu } = kernel({ kernel: 'e6e9 f4' }, { rflags: 0x302n });
  expect(run(cpu)).toMatchObject({ kind: 'call', name: 'out' });
  expect(cpu.retire(2)).toEqual(DEBUG);
});

test('an instruction breakpoint stops before it, once: RF lets it pass, and passes itself', () => {
  const { cpu } = kernel({ kernel: '90 48ffc0 90 ebf9' }, { dr0: AT.kernel + 1n, dr7: 0x402n }); // L: nop; inc rax; nop; jmp L
  gate(cpu, 1);
  write(cpu, handlerOf(1), '804c241201 48cf'); // or byte [rsp+18],1: RF in the flags to go back to; iretq
  for (let turn = 0n; turn < 3n; turn++) {
    const exit = run(cpu);
    expect(exit).toEqual(DEBUG_FAULT);
    expect([cpu.get(R.rip!), cpu.get(R.rax!), dr6(cpu)]).toEqual([AT.kernel + 1n, turn, 1n]);
    if (exit.kind === 'trap') deliver(cpu, exit.trap);
    expect(stackWords(cpu, 3)[2]! & ~ARITHMETIC).toBe(0x202n);
    run(cpu, 3);
    expect([cpu.get(R.rax!), cpu.get(R.rflags!) & ~ARITHMETIC]).toEqual([turn + 1n, 0x202n]);
  }
});

test.for<[string, string, bigint, boolean, boolean]>([
  // [what, code, address watched, stops a watch for writes, stops a watch for both]
  ['a store', '488903', AT.data, true, true],
  ['a store beside it', '488903', AT.data + 8n, false, false],
  ['a store that reaches it from below', '48894304', AT.data + 8n, true, true],
  ['a load', '488b03', AT.data, false, true],
  ['a comparison', '483903', AT.data, false, true],
  ['a read-modify-write', '480103', AT.data, true, true],
  ['an exchange', '488703', AT.data, true, true],
  ['an address alone', '488d03', AT.data, false, false],
  ['push', '50', AT.kernelStack - 8n, true, true],
  ['pop', '58', AT.kernelStack - 16n, false, false],
  ['stos', '48ab', AT.data + 0x20n, true, true],
  ['rep movs, its source', 'f3a4', AT.data + 0x10n, false, true],
  ['rep movs, its target', 'f3a4', AT.data + 0x28n, true, true],
])('%s meets a data breakpoint after it is done', ([, code, at, write, both]) => {
  for (const [kind, stops] of [
    [1n, write],
    [3n, both],
  ] as const) {
    // dr1 enabled, 8 bytes long (LEN 2)
    const dr7 = 0x404n | (kind << 20n) | (2n << 22n);
    const registers = { rbx: AT.data, rdi: AT.data + 0x20n, rsi: AT.data + 0x10n, rcx: 12n, rax: 5n, dr1: at, dr7 };
    const { cpu } = kernel({ kernel: `${code} f4` }, registers);
    const exit = run(cpu);
    expect(exit).toEqual(stops ? DEBUG : HALT);
    expect(dr6(cpu)).toBe(stops ? 2n : 0n);
    const done = !(stops && code.startsWith('f3')); // a repeated one stops behind the element
    expect(cpu.get(R.rip!)).toBe(AT.kernel + (done ? BigInt(code.length / 2) : 0n) + (stops ? 0n : 1n));
  }
});

test('a data breakpoint is met by an instruction that lies across two pages', () => {
  const { cpu } = kernel({ user: '90' }, { rbx: AT.data, rip: AT.user + 0xffen, dr0: AT.data, dr7: 0x1_0402n });
  write(cpu, AT.user + 0xffen, '488903f4');
  expect(run(cpu)).toMatchObject({ trap: { vector: 14, code: 0x15, address: AT.user + 0x1000n } });
  cpu.set(R.cs!, 0x10n); // the supervisor may fetch both
  expect(run(cpu)).toEqual(DEBUG);
  expect([dr6(cpu), cpu.get(R.rip!)]).toEqual([1n, AT.user + 0x1001n]);
});

test('GD guards the debug registers, and the handler may touch them', () => {
  const { cpu } = kernel({ kernel: '0f21c0' }, { dr7: 0x2400n }); // mov rax,dr0
  gate(cpu, 1);
  const exit = run(cpu);
  expect(exit).toMatchObject({ trap: { vector: 1, kind: 'fault' } });
  expect(dr6(cpu)).toBe(0x2000n);
  if (exit.kind === 'trap') deliver(cpu, exit.trap);
  expect(cpu.get(R.dr7!)).toBe(0x400n);
});

test('dr4 and dr5 are dr6 and dr7, unless CR4.DE', () => {
  const { cpu } = kernel({ kernel: '0f21e0 0f23e8 f4' }, { rax: 0n }); // mov rax,dr4; mov dr5,rax
  expect(run(cpu)).toEqual(HALT);
  expect([cpu.get(R.rax!), cpu.get(R.dr7!)]).toEqual([0xffff_0ff0n, (0xffff_07f0n & 0xffff_23ffn) | 0x400n]);
  const guarded = kernel({ kernel: '0f21e0' }).cpu;
  guarded.set(R.cr4!, guarded.get(R.cr4!) | 8n);
  expect(run(guarded)).toMatchObject({ trap: { vector: 6 } });
});

test('a repeated instruction under TF is followed by a trap after each element, and counts once', () => {
  const { cpu } = kernel(
    { kernel: 'f3a4 90 f4' }, // rep movsb; nop
    { rflags: 0x302n, rcx: 3n, rsi: AT.data, rdi: AT.data + 0x100n },
  );
  const seen = [];
  for (let n = 0; n < 4; n++) {
    expect(run(cpu)).toEqual(DEBUG);
    seen.push([cpu.get(R.rip!) - AT.kernel, cpu.get(R.rcx!), cpu.machine.ticks, (cpu.get(R.rflags!) >> 16n) & 1n]);
  }
  // Between two elements RF is set, as the processor pushes it.
  expect(seen).toEqual([
    [0n, 2n, 0, 1n],
    [0n, 1n, 0, 1n],
    [2n, 0n, 1, 0n],
    [3n, 0n, 2, 0n],
  ]);
});

test('between two elements of a comparison the flags are those of the last one', () => {
  const { cpu } = kernel(
    { kernel: 'f2a6 f4' }, // repne cmpsb
    { rflags: 0x302n, rcx: 2n, rsi: AT.data, rdi: AT.data + 8n },
  );
  put(cpu, AT.data, 0x0201n);
  put(cpu, AT.data + 8n, 0x0102n);
  run(cpu);
  expect([cpu.get(R.rip!), cpu.get(R.rcx!), cpu.get(R.rflags!) & ARITHMETIC]).toEqual([AT.kernel, 1n, 0x95n]);
  run(cpu);
  expect([cpu.get(R.rip!), cpu.get(R.rcx!), cpu.get(R.rflags!) & ARITHMETIC]).toEqual([AT.kernel + 2n, 0n, 0n]);
});

test('a data breakpoint on one element of a repeated instruction stops behind that element', () => {
  const { cpu } = kernel(
    { kernel: 'f3aa f4' }, // rep stosb
    { rcx: 100n, rax: 0x55n, rdi: AT.data, dr0: AT.data + 60n, dr7: 0x0001_0001n },
  );
  let exit = run(cpu);
  while (exit.kind === 'busy') exit = run(cpu);
  expect(exit).toEqual(DEBUG);
  expect([cpu.get(R.rdi!), cpu.get(R.rcx!), dr6(cpu)]).toEqual([AT.data + 61n, 39n, 1n]);
});
