/** iret, syscall, sysret and far transfers. */
import { expect, test } from 'vitest';
import { R } from '../engine/guest.js';
import { AT, descriptor, faultOf, HALT, kernel, peek, put, run, SELECTOR, write } from './kernel.js';

const IRETQ = '48cf';
const push = (cpu: ReturnType<typeof kernel>['cpu'], words: readonly bigint[]): void => {
  const rsp = cpu.get(R.rsp!) - BigInt(8 * words.length);
  words.forEach((word, n) => {
    put(cpu, rsp + BigInt(8 * n), word);
  });
  cpu.set(R.rsp!, rsp);
};
const TO_USER = [AT.user, BigInt(SELECTOR.code3), 0x202n, AT.userStack, BigInt(SELECTOR.data3)] as const;

test('iretq goes to ring 3 with flags, stack and segments, and cannot be used to come back', () => {
  const { cpu } = kernel({ kernel: IRETQ });
  write(cpu, AT.user, '48ffc0 6a10 48cf'); // inc rax; push 0x10; iretq
  push(cpu, [AT.user, BigInt(SELECTOR.code3), 0x24_3ed7n, AT.userStack - 64n, BigInt(SELECTOR.data3)]);
  expect(run(cpu, 1)).toEqual({ kind: 'limit' });
  expect([cpu.get(R.rip!), cpu.cpl, cpu.get(R.ss!), cpu.get(R.rsp!), cpu.get(R.rflags!)]).toEqual([
    AT.user,
    3,
    BigInt(SELECTOR.data3),
    AT.userStack - 64n,
    0x24_3ed7n,
  ]);
  // From ring 3: to ring 0 is #GP, naming the selector, with the frame made of what is on the user's stack.
  put(cpu, AT.userStack - 64n, BigInt(SELECTOR.code0));
  expect(run(cpu, 10)).toEqual(faultOf(13, SELECTOR.code0));
  expect(cpu.get(R.rip!)).toBe(AT.user + 5n);
});

test('iretq stays in ring 0 with a null stack segment, and changes rsp there too', () => {
  const { cpu } = kernel({ kernel: IRETQ });
  write(cpu, 0x1800n, 'f4');
  push(cpu, [0x1800n, BigInt(SELECTOR.code0), 0x2n, 0x8ff0n, 0n]);
  expect(run(cpu)).toEqual(HALT);
  expect([cpu.get(R.rsp!), cpu.get(R.rflags!), cpu.cpl]).toEqual([0x8ff0n, 2n, 0]);
});

test.for<[string, number, bigint, [number, number]]>([
  ['a null code segment', 1, 0n, [13, 0]],
  ['a code segment that is data', 1, BigInt(SELECTOR.data3), [13, SELECTOR.data3 & ~3]],
  ['a selector outside the GDT', 1, 0xfbn, [13, 0xf8]],
  ['a code segment whose DPL is not the RPL', 1, BigInt(SELECTOR.code3 & ~3), [13, SELECTOR.code3 & ~3]],
  ['a null stack segment for ring 3', 4, 3n, [13, 0]],
  ['a stack segment of ring 0 for ring 3', 4, BigInt(SELECTOR.data0), [13, SELECTOR.data0]],
  ['a stack segment that is read-only', 4, BigInt(SELECTOR.readOnly | 3), [13, SELECTOR.readOnly]],
  ['an rip that is not canonical', 0, 1n << 47n, [13, 0]],
])('iretq with %s faults with nothing changed', ([, slot, value, [vector, code]]) => {
  const { cpu } = kernel({ kernel: IRETQ });
  push(
    cpu,
    TO_USER.map((word, n) => (n === slot ? value : word)),
  );
  const before = Array.from({ length: cpu.count }, (_, reg) => cpu.get(reg));
  expect(run(cpu)).toEqual(faultOf(vector, code));
  expect(Array.from({ length: cpu.count }, (_, reg) => cpu.get(reg))).toEqual(before);
});

test('iretq to what is not there is #NP, to a stack that is not there #SS, to 32-bit code a refusal', () => {
  const attempt = (words: Record<number, bigint>): unknown => {
    const { cpu } = kernel({ kernel: IRETQ });
    put(cpu, AT.gdt + BigInt(SELECTOR.absent), descriptor(0x7a, 0xa)); // code for ring 3, absent
    put(cpu, AT.gdt + BigInt(SELECTOR.readOnly), descriptor(0x72, 0xc)); // data for ring 3, absent
    push(
      cpu,
      TO_USER.map((word, n) => words[n] ?? word),
    );
    return run(cpu);
  };
  expect(attempt({ 1: BigInt(SELECTOR.absent | 3) })).toEqual(faultOf(11, SELECTOR.absent));
  expect(attempt({ 4: BigInt(SELECTOR.readOnly | 3) })).toEqual(faultOf(12, SELECTOR.readOnly));
  expect(attempt({ 1: BigInt(SELECTOR.code32) })).toMatchObject({ kind: 'unimplemented' });
});

test('iretq faults with NT set, and on a stack that is not there', () => {
  const nested = kernel({ kernel: IRETQ }, { rflags: 0x4002n }).cpu;
  push(nested, TO_USER);
  expect(run(nested)).toEqual(faultOf(13, 0));
  expect(run(kernel({ kernel: IRETQ }, { rsp: 0x40_0000n }).cpu)).toMatchObject({
    trap: { vector: 14, code: 0, address: 0x40_0000n },
  });
  expect(run(kernel({ kernel: IRETQ }, { rsp: 1n << 47n }).cpu)).toEqual(faultOf(12, 0));
});

test('iretq in ring 3 may not change IF, IOPL or VM, and takes away no segment', () => {
  const { cpu } = kernel({ user: IRETQ }, { rflags: 0x202n, ds: BigInt(SELECTOR.data3) });
  push(cpu, [AT.user + 2n, BigInt(SELECTOR.code3), 0x2_3000n, AT.userStack, BigInt(SELECTOR.data3)]);
  run(cpu, 1);
  expect([cpu.get(R.rflags!), cpu.get(R.ds!)]).toEqual([0x202n, BigInt(SELECTOR.data3)]);
});

test('iretq to ring 3 takes away data segments of ring 0 that were loaded, but no base', () => {
  // mov ds,eax; mov es,ecx; mov fs,edx; iretq
  const { cpu } = kernel(
    { kernel: `8ed8 8ec1 8ee2 ${IRETQ}` },
    { rax: BigInt(SELECTOR.data0), rcx: BigInt(SELECTOR.data3), rdx: 0n },
  );
  push(cpu, TO_USER);
  cpu.set(R.gs_base!, 0x1234n);
  expect(run(cpu, 4)).toEqual({ kind: 'limit' });
  expect([cpu.get(R.ds!), cpu.get(R.es!), cpu.get(R.fs!), cpu.get(R.gs_base!)]).toEqual([
    0n,
    BigInt(SELECTOR.data3),
    0n,
    0x1234n,
  ]);
});

const STAR = (BigInt(SELECTOR.sysret | 3) << 48n) | (BigInt(SELECTOR.code0) << 32n);
const ENTRY = 0x1800n;
test('syscall enters ring 0 with rip in rcx and flags in r11 masked, and sysretq goes back', () => {
  const { cpu } = kernel({ user: '0f05 f4' }, { star: STAR, lstar: ENTRY, fmask: 0x4_0600n, rflags: 0x4_0ed7n });
  write(cpu, ENTRY, '90 480f07'); // nop; sysretq
  run(cpu, 1);
  const state = (...names: string[]): bigint[] => names.map(name => cpu.get(R[name]!));
  expect(state('rip', 'rcx', 'r11', 'rflags', 'cs', 'ss', 'rsp')).toEqual([
    ENTRY,
    AT.user + 2n,
    0x4_0ed7n,
    0x8d7n,
    BigInt(SELECTOR.code0),
    BigInt(SELECTOR.data0),
    AT.userStack,
  ]);
  run(cpu, 2);
  expect(state('rip', 'rflags', 'cs', 'ss')).toEqual([
    AT.user + 2n,
    0x4_0ed7n,
    BigInt(SELECTOR.code3),
    BigInt(SELECTOR.data3),
  ]);
  expect(run(cpu)).toEqual(faultOf(13, 0)); // hlt in ring 3
});

test('syscall is #UD until EFER.SCE; sysret is #GP in ring 3 and, while still in ring 0, for a bad rip', () => {
  const off = kernel({ user: '0f05' }).cpu;
  off.set(R.efer!, off.get(R.efer!) & ~1n);
  expect(run(off)).toEqual(faultOf(6));
  expect(run(kernel({ user: '480f07' }).cpu)).toEqual(faultOf(13, 0));
  const bad = kernel({ kernel: '480f07' }, { rcx: 1n << 47n, star: STAR }).cpu;
  expect(run(bad)).toEqual(faultOf(13, 0));
  expect([bad.cpl, bad.get(R.rip!)]).toEqual([0, AT.kernel]);
  expect(run(kernel({ kernel: '0f07' }, { star: STAR }).cpu)).toMatchObject({ kind: 'unimplemented' });
});

test('a host that intercepts syscall gets it untouched', () => {
  const { cpu } = kernel({ user: '90 0f05' });
  cpu.intercept = new Set(['syscall']);
  expect(run(cpu)).toEqual({ kind: 'call', name: 'syscall', length: 2 });
  expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([AT.user + 1n, 1]);
  expect(cpu.retire(2)).toBeUndefined();
  expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([AT.user + 3n, 2]);
});

test('far call, far jump and far return change cs within a ring; retf also goes to an outer one', () => {
  const { cpu } = kernel({ kernel: '48ff1b f4' }, { rbx: AT.data }); // callf [rbx]; hlt
  put(cpu, AT.data, ENTRY);
  put(cpu, AT.data + 8n, BigInt(SELECTOR.conforming));
  write(cpu, ENTRY, '48ff6b10'); // jmpf [rbx+16]
  put(cpu, AT.data + 16n, ENTRY + 0x10n);
  put(cpu, AT.data + 24n, BigInt(SELECTOR.code0));
  write(cpu, ENTRY + 0x10n, '48cb'); // retfq
  run(cpu, 1);
  expect([cpu.get(R.rip!), cpu.get(R.cs!), cpu.get(R.rsp!)]).toEqual([
    ENTRY,
    BigInt(SELECTOR.conforming),
    AT.kernelStack - 16n,
  ]);
  expect([peek(cpu, AT.kernelStack - 16n), peek(cpu, AT.kernelStack - 8n)]).toEqual([
    AT.kernel + 3n,
    BigInt(SELECTOR.code0),
  ]);
  expect(run(cpu)).toEqual(HALT);
  expect([cpu.get(R.cs!), cpu.get(R.rsp!)]).toEqual([BigInt(SELECTOR.code0), AT.kernelStack]);

  const out = kernel({ kernel: '48ca1000' }).cpu; // retfq 16
  push(out, [AT.user, BigInt(SELECTOR.code3), 1n, 2n, AT.userStack - 32n, BigInt(SELECTOR.data3)]);
  run(out, 1);
  expect([out.get(R.rip!), out.cpl, out.get(R.rsp!), out.get(R.ss!)]).toEqual([
    AT.user,
    3,
    AT.userStack - 16n,
    BigInt(SELECTOR.data3),
  ]);
});

test.for<[string, number, unknown]>([
  ['a null selector', 0, faultOf(13, 0)],
  ['data', SELECTOR.data0, faultOf(13, SELECTOR.data0)],
  ['a segment outside the GDT', 0x200, faultOf(13, 0x200)],
  ['an outer ring', SELECTOR.code3, faultOf(13, SELECTOR.code3 & ~3)],
  ['a call gate', SELECTOR.callGate, { kind: 'unimplemented', what: 'call gate 0x78' }],
])('a far jump to %s does not go there', ([, selector, expected]) => {
  const { cpu } = kernel({ kernel: '48ff2b' }, { rbx: AT.data });
  put(cpu, AT.data, ENTRY);
  put(cpu, AT.data + 8n, BigInt(selector));
  expect(run(cpu)).toEqual(expected);
  expect(cpu.get(R.rip!)).toBe(AT.kernel);
});

test('int3 and int n leave the run behind them as traps, int1 as what the processor raised itself', () => {
  expect(run(kernel({ user: 'cc' }).cpu)).toMatchObject({ trap: { vector: 3, kind: 'trap', software: 1 } });
  expect(run(kernel({ user: 'cd80' }).cpu)).toMatchObject({ trap: { vector: 0x80, kind: 'trap', software: 2 } });
  const { cpu } = kernel({ user: 'f1' });
  const exit = run(cpu);
  expect(exit).toMatchObject({ trap: { vector: 1, kind: 'trap' } });
  expect(exit.kind === 'trap' && exit.trap.software).toBeUndefined();
  expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([AT.user + 1n, 1]);
});
