/** Traps and interrupts through the guest's own tables. */
import { expect, test } from 'vitest';
import { asFrame } from '../../../src/base/brand.js';
import { CR0 } from '../../../src/machine/x86/cpu.js';
import { deliver, interrupt } from '../../../src/machine/x86/deliver.js';
import { HIDDEN_STATE } from '../../../src/machine/x86/hidden.js';
import { ACCESSED, DIRTY, PRESENT, R, WRITE } from '../engine/guest.js';
import {
  AT,
  descriptor,
  drive,
  gate,
  HALT,
  handlerOf,
  kernel,
  peek,
  put,
  run,
  runToTrap,
  SELECTOR,
  stackWords,
  write,
} from './kernel.js';

const RF = 0x1_0000n;
const UD2 = '0f0b';

test('a page fault in ring 3 arrives in ring 0 on the stack of the TSS, and iret goes back behind the instruction', () => {
  const { cpu } = kernel(
    { user: '488b03 cc' },
    { rbx: 0x40_0008n, rsp: AT.userStack - 24n, rflags: 0x4ad7n & ~0x4000n },
  );
  gate(cpu, 14);
  gate(cpu, 3, 0xee);
  write(cpu, handlerOf(14), '4883442408 03 4883c408 48cf'); // add qword [rsp+8],3; add rsp,8; iretq
  const { trap } = runToTrap(cpu);
  expect(trap).toEqual({ vector: 14, code: 4, address: 0x40_0008n, kind: 'fault' });
  expect([cpu.get(R.rip!), cpu.get(R.rsp!), cpu.cpl, cpu.get(R.ss!), cpu.get(R.cr2!)]).toEqual([
    handlerOf(14),
    AT.kernelStack - 48n,
    0,
    0n,
    0x40_0008n,
  ]);
  const flags = 0xad7n;
  expect(stackWords(cpu, 6)).toEqual([
    4n,
    AT.user,
    BigInt(SELECTOR.code3),
    flags | RF,
    AT.userStack - 24n,
    BigInt(SELECTOR.data3),
  ]);
  expect(cpu.get(R.rflags!)).toBe(flags & ~0x200n);
  expect(runToTrap(cpu).trap).toMatchObject({ vector: 3, kind: 'trap', software: 1 });
  expect(stackWords(cpu, 5)).toEqual([
    AT.user + 4n,
    BigInt(SELECTOR.code3),
    flags,
    AT.userStack - 24n,
    BigInt(SELECTOR.data3),
  ]);
});

test('within ring 0 the stack stays, aligned to 16 bytes, and ss stays as it is', () => {
  const { cpu } = kernel({ kernel: UD2 }, { rsp: 0x8ff7n, ss: BigInt(SELECTOR.data0) });
  gate(cpu, 6);
  runToTrap(cpu);
  expect(cpu.get(R.rsp!)).toBe(0x8ff0n - 40n);
  expect(stackWords(cpu, 5)).toEqual([AT.kernel, BigInt(SELECTOR.code0), 0x202n | RF, 0x8ff7n, BigInt(SELECTOR.data0)]);
  expect(cpu.get(R.ss!)).toBe(BigInt(SELECTOR.data0));
});

test('an IST slot wins over both stacks, and a trap gate leaves interrupts on', () => {
  for (const [attributes, interrupts] of [
    [0x8e, 0n],
    [0x8f, 0x200n],
  ] as const) {
    const { cpu } = kernel({ kernel: UD2 });
    gate(cpu, 6, attributes, 1);
    runToTrap(cpu);
    expect(cpu.get(R.rsp!)).toBe(AT.ist - 40n);
    expect(cpu.get(R.rflags!) & 0x200n).toBe(interrupts);
  }
});

test('a conforming handler runs with the privilege of what it interrupts', () => {
  const { cpu } = kernel({ user: '90 0f0b' });
  put(cpu, AT.gdt + BigInt(SELECTOR.conforming), descriptor(0x9f, 0xa));
  gate(cpu, 6, 0x8e, 0, SELECTOR.conforming);
  runToTrap(cpu);
  expect([cpu.cpl, cpu.get(R.cs!), cpu.get(R.rsp!)]).toEqual([3, BigInt(SELECTOR.conforming | 3), AT.userStack - 40n]);
});

/** What #UD in ring 0 becomes when its own gate is wrong: [what is wrong, vector, error code]. */
test.for<[string, (k: ReturnType<typeof kernel>) => void, number, number]>([
  ['the gate is not present', ({ cpu }) => gate(cpu, 6, 0x0e), 11, 6 * 8 + 3],
  ['the gate is no gate', ({ cpu }) => gate(cpu, 6, 0x8c), 13, 6 * 8 + 3],
  ['the table ends before it', ({ cpu }) => cpu.set(R.idtr_limit!, 6n * 16n + 14n), 13, 6 * 8 + 3],
  ['the code segment is null', ({ cpu }) => gate(cpu, 6, 0x8e, 0, 0), 13, 1],
  ['the code segment is outside the GDT', ({ cpu }) => gate(cpu, 6, 0x8e, 0, 0xf8), 13, 0xf9],
  ['the code segment is data', ({ cpu }) => gate(cpu, 6, 0x8e, 0, SELECTOR.data0), 13, SELECTOR.data0 | 1],
  ['the code segment is outer', ({ cpu }) => gate(cpu, 6, 0x8e, 0, SELECTOR.code3 & ~3), 13, (SELECTOR.code3 & ~3) | 1],
  [
    'the code segment is not present',
    ({ cpu }) => put(cpu, AT.gdt + BigInt(SELECTOR.code1 & ~3), descriptor(0x1b, 0xa)) ?? gate(cpu, 6, 0x8e, 0, 0x70),
    11,
    0x71,
  ],
  [
    'the TSS ends before its IST slot',
    ({ cpu }) => cpu.hidden.set(HIDDEN_STATE.trLimit, 42n) ?? gate(cpu, 6, 0x8e, 1),
    10,
    SELECTOR.tss | 1,
  ],
  ['the IST stack is not canonical', ({ cpu }) => put(cpu, AT.tss + 36n, 1n << 50n) ?? gate(cpu, 6, 0x8e, 1), 12, 1],
])('#UD whose way is blocked since %s becomes another fault', ([, spoil, vector, code]) => {
  const k = kernel({ kernel: UD2 });
  const { cpu } = k;
  for (const n of [10, 11, 12, 13]) gate(cpu, n, 0x8e);
  gate(cpu, 6, 0x8e);
  spoil(k);
  const exit = run(cpu);
  if (exit.kind !== 'trap') throw new Error('a trap is expected');
  const result = deliver(cpu, exit.trap);
  if (cpu.get(R.idtr_limit!) !== 0xfffn) {
    // With the table that short #GP is not there either, nor #DF.
    expect(result).toEqual({ kind: 'shutdown' });
    return;
  }
  expect(result).toBeUndefined();
  expect(cpu.get(R.rip!)).toBe(handlerOf(vector));
  expect(stackWords(cpu, 2)).toEqual([BigInt(code), AT.kernel]);
});

test('int n from ring 3 needs a gate for ring 3: otherwise it did not happen, and #GP names the gate', () => {
  const { cpu } = kernel({ user: '90 cd50' });
  gate(cpu, 0x50);
  gate(cpu, 13);
  runToTrap(cpu);
  expect(cpu.get(R.rip!)).toBe(handlerOf(13));
  expect(stackWords(cpu, 2)).toEqual([0x50n * 8n + 2n, AT.user + 1n]);

  const allowed = kernel({ user: '90 cd50' }).cpu;
  gate(allowed, 0x50, 0xee);
  runToTrap(allowed);
  expect(allowed.get(R.rip!)).toBe(handlerOf(0x50));
  expect(stackWords(allowed, 1)).toEqual([AT.user + 3n]);
  expect(allowed.machine.ticks).toBe(2);
});

test('a page fault on the way of a page fault is a double fault, with the second address in cr2', () => {
  const { cpu } = kernel({ user: '488b03' }, { rbx: 0x40_0000n });
  gate(cpu, 14);
  gate(cpu, 8, 0x8e, 1);
  put(cpu, AT.tss + 4n, 0x50_0000n); // an unmapped kernel stack
  runToTrap(cpu);
  expect([cpu.get(R.rip!), cpu.get(R.cr2!), cpu.get(R.rsp!)]).toEqual([handlerOf(8), 0x4f_fff8n, AT.ist - 48n]);
  expect(stackWords(cpu, 4)).toEqual([0n, AT.user, BigInt(SELECTOR.code3), 0x202n | RF]);
});

test('a page fault on the way of #GP is a page fault; a #GP on the way of #GP a double fault', () => {
  // wrmsr of a number that is none
  const { cpu } = kernel({ kernel: '0f30' }, { rcx: 0x1234n, rsp: 0x50_0000n });
  gate(cpu, 13);
  gate(cpu, 14, 0x8e, 1);
  runToTrap(cpu);
  expect([cpu.get(R.rip!), cpu.get(R.cr2!)]).toEqual([handlerOf(14), 0x4f_fff8n]);
  expect(stackWords(cpu, 1)).toEqual([2n]);

  const other = kernel({ kernel: '0f30' }, { rcx: 0x1234n }).cpu;
  gate(other, 13, 0x8c);
  gate(other, 8);
  runToTrap(other);
  expect(other.get(R.rip!)).toBe(handlerOf(8));
  expect(stackWords(other, 2)).toEqual([0n, AT.kernel]);
});

test('without a gate for the double fault the processor shuts down', () => {
  const { cpu } = kernel({ kernel: '0f30' }, { rcx: 0x1234n });
  expect(runToTrap(cpu).result).toEqual({ kind: 'shutdown' });
  cpu.set(R.rip!, AT.kernel);
  cpu.set(R.idtr_base!, 0x70_0000n); // not mapped
  expect(runToTrap(cpu).result).toEqual({ kind: 'shutdown' });
});

test('a handler in a 32-bit segment ends the run by name, not by chance', () => {
  const { cpu } = kernel({ user: UD2 });
  put(cpu, AT.gdt + BigInt(SELECTOR.code1 & ~3), descriptor(0x9b, 0xc));
  gate(cpu, 6, 0x8e, 0, 0x70);
  expect(runToTrap(cpu).result).toMatchObject({
    kind: 'unimplemented',
    what: expect.stringContaining('compatibility'),
  });
});

test('the processor reads its tables and pushes as the supervisor, and that marks them accessed and dirty', () => {
  const { cpu, tables } = kernel({ user: UD2 });
  gate(cpu, 6);
  put(cpu, AT.gdt + BigInt(SELECTOR.code0), descriptor(0x9a, 0xa)); // not accessed yet
  const entries = [AT.idt, AT.tss, AT.kernelStack - 0x1000n, AT.gdt].map(at =>
    tables.map(at, Number(at), PRESENT | WRITE),
  );
  const flags = (): bigint[] => entries.map(at => peek(cpu, BigInt(at)) & (ACCESSED | DIRTY));
  expect(flags()).toEqual([0n, 0n, 0n, 0n]);
  runToTrap(cpu);
  expect(flags()).toEqual([ACCESSED, ACCESSED, ACCESSED | DIRTY, ACCESSED | DIRTY]);
  expect(peek(cpu, AT.gdt + BigInt(SELECTOR.code0))).toBe(descriptor(0x9b, 0xa));
});

test('a read-only stack stops delivery only with write protection', () => {
  for (const protect of [true, false]) {
    const { cpu, tables } = kernel({ user: UD2 });
    gate(cpu, 6);
    gate(cpu, 14, 0x8e, 1);
    tables.map(0x8000n, 0x8000, PRESENT);
    if (!protect) cpu.set(R.cr0!, cpu.get(R.cr0!) & ~CR0.WP);
    runToTrap(cpu);
    expect(cpu.get(R.rip!)).toBe(handlerOf(protect ? 14 : 6));
    if (protect) expect(stackWords(cpu, 1)).toEqual([3n]); // a write, the page present, as supervisor
  }
});

test('watchers hear of the stores of delivery, where the guest was', () => {
  const { cpu } = kernel({ user: '90 0f0b' });
  gate(cpu, 6);
  cpu.memory.watch(asFrame(8), true);
  const seen: unknown[] = [];
  cpu.memory.onWatched = (at, bytes) => seen.push([at, bytes, cpu.machine.pc]);
  runToTrap(cpu);
  expect(seen).toEqual([8, 16, 24, 32, 40].map(n => [0x9000 - n, 8, AT.user + 1n]));
});

test('an interrupt waits for IF and for the instruction behind sti, and the run ends when it would be taken', () => {
  const { cpu } = kernel({ kernel: '90 fb 90 90 f4' }, { rflags: 2n }); // nop; sti; nop; nop; hlt
  gate(cpu, 0x40);
  cpu.wantsInterrupt = true;
  expect(cpu.canInterrupt).toBe(false);
  expect(run(cpu)).toEqual({ kind: 'window' });
  expect([cpu.get(R.rip!), cpu.machine.ticks, cpu.canInterrupt]).toEqual([AT.kernel + 3n, 3, true]);
  cpu.wantsInterrupt = false;
  expect(interrupt(cpu, 0x40)).toBeUndefined();
  expect(cpu.get(R.rip!)).toBe(handlerOf(0x40));
  expect(stackWords(cpu, 3)).toEqual([AT.kernel + 3n, BigInt(SELECTOR.code0), 0x202n]);
  expect(cpu.canInterrupt).toBe(false);
});

test('sti; hlt wakes up: the shadow covers hlt and no more', () => {
  const { cpu } = kernel({ kernel: 'fb f4' }, { rflags: 2n });
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.canInterrupt).toBe(true);
  cpu.machine.skip(100);
  expect(cpu.canInterrupt).toBe(true);
});

test('the same run, cut into pieces anywhere, delivers the same', () => {
  const make = () => {
    // L: inc rax; mov rcx,[rbx]; jmp L  with a page fault each turn, whose handler steps over it
    const { cpu } = kernel({ user: '48ffc0 488b0b ebf8' }, { rbx: 0x40_0000n });
    gate(cpu, 14);
    write(cpu, handlerOf(14), '4883442408 03 4883c408 48cf');
    return cpu;
  };
  const [whole, pieces] = [make(), make()];
  const { exit, vectors } = drive(whole, 600);
  expect([exit, vectors.length]).toEqual([{ kind: 'limit' }, 120]);
  for (let n = 0; n < 600; ) {
    const size = Math.min(600 - n, 1 + ((n * 7) % 5));
    drive(pieces, size);
    n += size;
  }
  for (let reg = 0; reg < whole.count; reg++) expect(pieces.get(reg)).toBe(whole.get(reg));
});
