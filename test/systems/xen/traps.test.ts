import { expect, test } from 'vitest';
import { REG } from '../../../src/isa/x86_64.js';
import { arrange, layoutFor } from '../../../src/systems/xen/model/layout.js';
import { MMUEXT, PATH } from '../../../src/systems/xen/names.js';
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
  MIB,
  mov,
  OLD_XEN,
  of,
  type Run,
  type RunOptions,
  register,
  results,
  run,
  SYSCALL,
  shutdown,
  store,
  storeRax,
  u64s,
  wordAt,
} from './guest.js';

/** A stack that is not the boot stack, and one for entries from user mode. */
const STACK = DATA + 0x3000n;
const KERNEL_STACK = DATA + 0x2000n;
const onStack = mov(4, STACK);
/** Gates at DATA, announced; then the code. */
const withGates = (gates: readonly number[], code: readonly number[], options: RunOptions = {}): Run =>
  run([...onStack, ...call(HYPERCALL.trapTable, DATA), ...code], { ...options, data: [...gates, ...GATES_END] });
/** The words of the frame that the first bounce left, from rcx up. */
const frameAt = (made: Run, at: bigint, words: number): bigint[] =>
  Array.from({ length: words }, (_, n) => wordAt(made, at + BigInt(8 * n))!);
const consoleLines = ({ events }: Run): string[] =>
  of(events, 'console')
    .filter(e => e.from === 'host')
    .map(e => e.text.replace(/\n$/, ''));
/** Where the code of `withGates` is. */
const AT = CODE + BigInt([...onStack, ...call(HYPERCALL.trapTable, DATA)].length);
const MASKS = 4;
const RF = 0x1_0000n;

// Bounce frames.

test('a fault of the kernel leaves a frame below its stack, with cs as of ring 0 and RF set', () => {
  const made = withGates(gate(6, HANDLERS), [...mov(1, 0x11n), ...mov(11, 0xbbn), ...bytes('0f0b')], {
    handlers: shutdown(),
  });
  const at = AT + 20n;
  expect(made.ended?.how).toBe('halted');
  // rcx r11 rip cs(mask set at start) rflags(IF clear: masked) rsp ss
  expect(frameAt(made, STACK - 56n, 7)).toEqual([0x11n, 0xbbn, at, 0x1_0000_e030n, 0x2n | RF, STACK, 0xe02bn]);
  expect(of(made.events, 'trap')[0]).toMatchObject({ vector: 6, error: 0, pc: at, user: false });
});
test('the handler finds rcx and r11 as sysret leaves them, the frame in rsp, and RF gone from the flags', () => {
  const made = withGates(gate(6, HANDLERS), [...mov(11, 0xbbn), ...bytes('0f0b')], {
    handlers: [
      ...bytes('4c 89 da'),
      ...bytes('48 89 e5'),
      ...bytes('9c 5b'),
      ...mov(9, 0n),
      ...bytes('49 89 c9'),
      ...shutdown(),
    ],
  });
  expect(register(made, REG.rdx!) & RF).toBe(0n); // mov rdx, r11
  expect(register(made, REG.rbp!)).toBe(STACK - 56n);
  expect(register(made, REG.r9!)).toBe(HANDLERS);
});
test('a page fault has its error code in the frame, without the user bit, and its address in the shared page', () => {
  const made = withGates(gate(14, HANDLERS), bytes('48 c7 04 25 10 00 00 00 00 00 00 00'), { handlers: shutdown() }); // mov [0x10], 0
  expect(frameAt(made, STACK - 64n, 4)).toEqual([expect.anything(), expect.anything(), 2n, AT]);
  const [trap] = of(made.events, 'trap');
  expect(trap).toMatchObject({ vector: 14, error: 2, at: 0x10n, user: false });
  const cr2 = made.xen.memory.read((made.xen.layout.sharedInfo * 4096 + 16) as never, 8);
  expect(cr2).toBe(0x10n);
  expect(register(made, REG.cr2!)).toBe(0x10n);
});
test('the stack of a frame is aligned to 16 bytes, downwards', () => {
  const made = withGates(gate(6, HANDLERS), [...mov(4, STACK - 5n), ...bytes('0f0b')], {
    handlers: [...bytes('48 89 e5'), ...shutdown()],
  });
  expect(register(made, REG.rbp!)).toBe(STACK - 16n - 56n);
  expect(wordAt(made, STACK - 16n - 16n)).toBe(STACK - 5n);
});
test.for([
  [MASKS, true],
  [0, false],
] as const)('a gate with flags %i masks upcalls on entry: %s', ([flags, masked]) => {
  const made = withGates(gate(6, HANDLERS, flags), bytes('0f0b'), {
    handlers: shutdown(),
    before: xen => {
      xen.upcallMask = false;
    },
  });
  expect(made.xen.upcallMask).toBe(masked);
  expect(frameAt(made, STACK - 56n, 7).slice(3, 5)).toEqual([0xe030n, 0x202n | RF]); // how it was
});
test('events in a handler have its trap as their cause; handlers nest, and iret leaves them one by one', () => {
  // #UD prints by a call, does int3 inside, and returns behind the ud2.
  const iret = [...bytes('59 41 5b'), ...bytes('48 83 04 24 02'), ...back];
  const made = withGates(
    [...gate(6, HANDLERS), ...gate(3, HANDLERS + 0x100n)],
    [...bytes('0f0b'), ...call(77), ...shutdown()],
    {
      handlers: pad([...call(77), 0xcc, ...call(77), ...iret], 0x100, [...call(77), ...bytes('59 41 5b'), ...back]),
    },
  );
  expect(made.ended?.how).toBe('halted');
  const [outer, inner] = of(made.events, 'trap');
  expect([outer!.vector, inner!.vector, inner!.cause]).toEqual([6, 3, outer!.seq]);
  const calls = of(made.events, 'call').filter(e => e.number === 77);
  expect(calls.map(e => e.cause)).toEqual([outer!.seq, inner!.seq, outer!.seq, -1]);
  expect(of(made.events, 'trapret').length).toBe(2);
});
/** What the kernel pushes for the iret hypercall, on a frame that starts with rip: flags, rcx, r11, rax. */
const back = [...bytes('6a 00 51 41 53 50'), ...mov(0, 23n), ...SYSCALL];
const pad = (first: number[], to: number, then: number[]): number[] => [
  ...first,
  ...new Array<number>(to - first.length).fill(0x90),
  ...then,
];

// No way to go on.

test('without a handler Xen says so in the words of 2011, and crashes the domain', () => {
  const made = run([...onStack, ...bytes('0f0b')], { notes: [OLD_XEN] });
  expect(made.ended).toEqual({ how: 'killed', reason: 'no handler for invalid opcode (#UD)' });
  const lines = consoleLines(made);
  expect(lines.slice(0, 5)).toEqual([
    'traps.c:481:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]',
    'domain_crash_sync called from entry.S',
    'Domain 0 (vcpu#0) crashed on cpu#0:',
    '----[ Xen-4.1  x86_64  debug=y  Not tainted ]----',
    'CPU:    0',
  ]);
  expect(lines[5]).toBe('RIP:    e033:[<ffffffff8000100a>]');
  const after = lines.indexOf('ds: 0000   es: 0000   fs: 0000   gs: 0000   ss: e02b   cs: e033') + 1;
  // The frame is there already: rcx, r11, rip, cs, flags, rsp, ss.
  expect(lines[after]).toBe(`Guest stack trace from rsp=${(STACK - 56n).toString(16)}:`);
  expect(lines.slice(after + 1, after + 3)).toEqual([
    '   0000000000000000 0000000000000000 ffffffff8000100a 000000010000e030',
    `   0000000000010002 ${STACK.toString(16)} 000000000000e02b 0000000000000000`,
  ]);
  expect(lines.length).toBe(after + 1 + 20);
  // All of it happens inside the trap.
  const [trap] = of(made.events, 'trap');
  expect(of(made.events, 'console').every(e => e.cause === trap!.seq)).toBe(true);
  expect(made.events.at(-1)).toMatchObject({ kind: 'end', how: 'killed', cause: trap!.seq });
});
test('and in the words of today', () => {
  const made = run([...onStack, ...bytes('0f0b')]);
  expect(consoleLines(made).slice(0, 3)).toEqual([
    'd1v0 Unhandled: vec 6, #UD[0000]',
    'domain_crash_sync called from entry.S: fault at create_bounce_frame_bad_bounce_ip',
    'Domain 1 (vcpu#0) crashed on cpu#0:',
  ]);
});
test('an unhandled page fault comes with a walk of the tables', () => {
  const made = run([...onStack, ...bytes('48 8b 04 25 10 00 00 00')], { notes: [OLD_XEN] });
  const lines = consoleLines(made);
  expect(lines.slice(0, 4)).toEqual([
    'd0:v0: unhandled page fault (ec=0000)',
    'Pagetable walk from 0000000000000010:',
    ' L4[0x000] = 0000000000000000 ffffffffffffffff',
    'domain_crash_sync called from entry.S',
  ]);
});
test('the trace of a stack ends where Xen’s own would, where memory does, and at what is not the guest’s', () => {
  const trace = (stack: bigint): string[] => {
    const lines = consoleLines(run([...mov(4, stack), ...bytes('0f0b')]));
    return lines.slice(lines.findIndex(line => line.startsWith('Guest stack trace')) + 1);
  };
  const boundary = (STACK & ~0x7fffn) + 0x8000n; // where bit 15 changes
  const words = (lines: string[]): number => lines.join(' ').trim().split(/ +/).length;
  expect(words(trace(boundary - 48n))).toBe((48 + 56) / 8);
  expect(words(trace(boundary + 48n))).toBe(1);
  expect(trace(0x1000n)).toEqual(['  Fault while accessing guest memory.']);
  expect(trace(0xffff_8300_0000_0000n)).toEqual(['  Guest-inaccessible memory.']);
});
test('a stack that cannot be written, or that would be Xen’s, ends the domain', () => {
  const where = (stack: bigint): Run => run([...mov(4, stack), ...bytes('0f0b')]);
  expect(where(0x1000n).ended?.reason).toBe('the stack for invalid opcode (#UD) cannot be written');
  expect(where(0xffff_8300_0000_0000n).ended?.reason).toMatch(/Xen’s part/);
});

// Software interrupts.

test.for([
  [0x80, 0, true],
  [0x30, 1, true],
  [0x30, 0, false],
  [4, 0, true],
  [3, 0, true],
] as const)('int %i with a gate for level %i: the guest’s kernel gets it: %s', ([vector, level, through]) => {
  const gates = [...gate(vector, HANDLERS, level), ...gate(13, HANDLERS)];
  const made = withGates(gates, [0xcd, vector], { handlers: shutdown() });
  const [trap] = of(made.events, 'trap');
  expect(trap).toMatchObject(
    through ? { vector, error: 0, pc: AT + 2n } : { vector: 13, error: (vector << 3) | 2, pc: AT },
  );
  expect(wordAt(made, STACK - (through ? 40n : 48n))).toBe(through ? AT + 2n : BigInt((vector << 3) | 2));
});

// User mode.

/** The first root, as an mfn, is the user's root too: found in cr3. Then the callback, the stack, and iret to `user`. */
const USER = HANDLERS + 0x800n;
const goTo = (cs: bigint, flags = 0n): number[] => [
  // rax r11 rcx flags rip cs rflags rsp ss, from the last one on
  ...[0xe02bn, DATA + 0x1800n, 0x202n, cs, USER, flags, 0xccn, 0xb1n, 0xaan].flatMap(v => [...mov(0, v), 0x50]),
  ...mov(0, 23n),
  ...SYSCALL,
];
const prepare = (callback = HANDLERS + 0x400n): number[] => [
  ...bytes('0f 20 d8 48 c1 e8 0c'), // mov rax, cr3; shr rax, 12
  ...storeRax(DATA + 0x808n),
  ...store(DATA + 0x800n, BigInt(MMUEXT.new_user_baseptr)),
  ...call(HYPERCALL.mmuext, DATA + 0x800n, 1n, 0n, 0x7ff0n),
  ...call(HYPERCALL.callbacks, HANDLERS, HANDLERS, callback),
  ...call(HYPERCALL.stackSwitch, 0xe02bn, KERNEL_STACK),
  ...call(HYPERCALL.segmentBase, 2n, 0x3000n),
  ...call(HYPERCALL.segmentBase, 1n, 0x2000n),
];
const inUserMode = (made: Run) => of(made.events, 'trap').filter(e => e.user);
const inUser = (user: readonly number[], handlers: readonly number[], flags = 0n, gates: number[] = []): Run =>
  withGates([...gate(14, HANDLERS), ...gate(6, HANDLERS), ...gates], [...prepare(), ...goTo(0xe033n, flags)], {
    handlers: pad(pad([...handlers], 0x400, shutdown()), 0x800, [...user]),
  });

test('iret goes to user mode with everything the frame says, and the other base of gs', () => {
  const made = inUser(bytes('0f0b'), shutdown());
  expect(of(made.events, 'trapret').filter(e => e.user)).toMatchObject([{ pc: USER }]);
  const [trap] = of(made.events, 'trap').filter(e => e.vector === 6);
  expect(trap).toMatchObject({ user: true, pc: USER, cause: -1 });
  // From user mode the frame is on the kernel's stack, cs with its RPL; upcalls were unmasked by IF in the frame.
  expect(frameAt(made, KERNEL_STACK - 56n, 7)).toEqual([
    0xccn,
    0xb1n,
    USER,
    0xe033n,
    0x202n | RF,
    DATA + 0x1800n,
    0xe02bn,
  ]);
  expect(made.xen.kernelMode).toBe(true);
  expect([register(made, REG.gs_base!), register(made, REG.kernel_gs_base!)]).toEqual([0x3000n, 0x2000n]);
});
test('with VGCF_in_syscall rcx and r11 are sysret’s', () => {
  const made = inUser(bytes('0f0b'), shutdown(), 0x100n);
  expect(frameAt(made, KERNEL_STACK - 56n, 2)).toEqual([USER, 0x202n]);
});
test('a page fault of user code says so in its error code', () => {
  const made = inUser(bytes('48 8b 04 25 10 00 00 00'), shutdown());
  expect(inUserMode(made)).toMatchObject([{ vector: 14, error: 4, at: 0x10n }]);
  expect(wordAt(made, KERNEL_STACK - 48n)).toBe(4n);
});
test('syscall in user mode is for the guest’s kernel; in kernel mode it is for Xen', () => {
  const made = inUser([...mov(0, 39n), ...mov(7, 7n), ...SYSCALL, ...bytes('0f0b')], shutdown());
  const calls = of(made.events, 'call').filter(e => e.class === 3);
  expect(calls).toMatchObject([{ number: 39, cause: -1 }]);
  expect(calls[0]!.args[0]).toBe(7n);
  const next = USER + 22n;
  expect(frameAt(made, KERNEL_STACK - 56n, 7)).toEqual([next, 0x202n, next, 0xe033n, 0x202n, DATA + 0x1800n, 0xe02bn]);
  const last = of(made.events, 'call').at(-1)!;
  expect(last).toMatchObject({ class: 0, cause: calls[0]!.seq }); // the handler's shutdown
});
test('without a callback for it, syscall is an invalid opcode', () => {
  const made = withGates(gate(6, HANDLERS), [...prepare(0n), ...goTo(0xe033n)], {
    handlers: pad(shutdown(), 0x800, SYSCALL),
  });
  expect(inUserMode(made)).toMatchObject([{ vector: 6, pc: USER }]);
});
test('without a user table there is no way to user mode', () => {
  const frame = [0xe02bn, DATA, 0x202n, 0xe033n, USER, 0n, 0n, 0n, 0n].flatMap(v => [...mov(0, v), 0x50]);
  const made = run([...onStack, ...frame, ...mov(0, 23n), ...SYSCALL], { notes: [OLD_XEN] });
  expect(made.ended).toEqual({ how: 'killed', reason: 'Guest switching to user mode with no user page tables' });
  expect(consoleLines(made).slice(0, 3)).toEqual([
    'traps.c:287:d0 Guest switching to user mode with no user page tables',
    'traps.c:317:d0 Fatal error',
    'Domain 0 (vcpu#0) crashed on cpu#0:',
  ]);
});
test('selectors that iret cannot load are a fault where the guest wanted to go', () => {
  const made = withGates(gate(13, HANDLERS), [...prepare(), ...goTo(0xe01bn)], { handlers: shutdown() });
  expect(inUserMode(made)).toMatchObject([{ vector: 13, error: 0xe018, pc: USER }]);
});
test('what user code does natively needs no Xen: cpuid and rdtsc answer at once', () => {
  const made = inUser([...mov(0, 0n), ...bytes('0fa2 4889de 0f31 0f0b')], shutdown());
  expect(inUserMode(made).map(e => e.vector)).toEqual([6]);
});

// Upcalls.

test('a pending upcall is delivered on the way back from Xen, when it is not masked, and masks', () => {
  // As an event channel would mark it.
  const made = run(
    [
      ...onStack,
      ...call(HYPERCALL.callbacks, HANDLERS, HANDLERS, HANDLERS),
      ...call(HYPERCALL.sched, 1n, 0n),
      ...bytes('0f0b'),
    ],
    {
      handlers: shutdown(),
      before: xen => xen.memory.hostStore((xen.layout.sharedInfo * 4096) as never, 1, 1n),
    },
  );
  expect(made.ended?.how).toBe('halted');
  const [upcall] = of(made.events, 'interrupt');
  expect(upcall).toMatchObject({ user: false });
  expect(of(made.events, 'trap')).toEqual([]);
  expect(made.xen.upcallMask).toBe(true);
  expect(frameAt(made, STACK - 56n, 7)[3]).toBe(0xe030n); // unmasked before
  expect(of(made.events, 'call').at(-1)!.cause).toBe(upcall!.seq);
});

// Privileged instructions.

const privileged = (code: string, extra: readonly number[] = []): Run =>
  withGates(gate(13, HANDLERS), [...extra, ...bytes(code), ...storeRax(DATA + 0x100n), ...shutdown()], {
    handlers: shutdown(1),
  });
const refused = (made: Run): boolean => made.ended!.reason.includes('reboot');

test.for([
  ['hlt', 'f4'],
  ['cli', 'fa'],
  ['sti', 'fb'],
  ['in', 'e460'],
  ['out', 'e660'],
  ['invlpg', '0f0138'],
  ['lgdt', '0f0110'],
  ['swapgs', '0f01f8'],
  ['mov to cr8', '440f22c0'],
  ['a new cr0', '31c00f22c0'],
] as const)('%s is refused with #GP', ([, code]) => {
  const made = privileged(code);
  expect(refused(made)).toBe(true);
  expect(of(made.events, 'trap')[0]).toMatchObject({ vector: 13, error: 0, user: false });
});
test('control registers are the guest’s view of them', () => {
  const cr3 = privileged('0f20d8');
  expect(wordAt(cr3, DATA + 0x100n)).toBe(BigInt(cr3.xen.kernelRoot) << 12n);
  expect(wordAt(privileged('0f20c0'), DATA + 0x100n)).toBe(0x8005_0033n);
  const cr4 = privileged('0f22e0 0f20e0', mov(0, 0x6b8n)); // DE is its own, the rest stays
  expect(wordAt(cr4, DATA + 0x100n)! & 8n).toBe(8n);
  expect(refused(cr4)).toBe(false);
  expect(refused(privileged('0f06'))).toBe(false); // clts
  expect(refused(privileged('0f09'))).toBe(false); // wbinvd
});
test('an instruction Xen does is a trap with its return, counts as one, and goes on behind it', () => {
  const made = privileged('0f20d8');
  const trap = of(made.events, 'trap')[0]!;
  expect(trap).toMatchObject({ vector: 13, pc: AT });
  expect(of(made.events, 'trapret')[0]).toMatchObject({
    cause: trap.seq,
    pc: AT + 3n,
    user: false,
    ticks: trap.ticks + 1,
  });
});
test('model-specific registers: bases are the guest’s, EFER may be written as it is, others are refused', () => {
  const write = (number: bigint, value: bigint): number[] => [
    ...mov(1, number),
    ...mov(0, value & 0xffff_ffffn),
    ...mov(2, value >> 32n),
  ];
  const made = privileged('0f30', write(0xc000_0101n, 0x1234_5678_9000n));
  expect(refused(made)).toBe(false);
  expect(register(made, REG.gs_base!)).toBe(0x1234_5678_9000n);
  expect(of(made.events, 'msr')).toMatchObject([{ register: 0xc000_0101, new: 0x1234_5678_9000n }]);
  expect(refused(privileged('0f30', write(0xc000_0080n, 0xd01n)))).toBe(false);
  expect(refused(privileged('0f30', write(0xc000_0080n, 0x501n)))).toBe(true);
  expect(refused(privileged('0f32', mov(1, 0x999n)))).toBe(true);
  const rdmsr = privileged('0f32', mov(1, 0x1bn));
  expect(wordAt(rdmsr, DATA + 0x100n)).toBe(0xfee0_0900n);
});
test('before there is a handler for #GP, reading an MSR that exists gives zero instead of an end', () => {
  const made = run([...onStack, ...mov(1, 0x8bn), ...bytes('0f32'), ...storeRax(DATA), ...shutdown()]);
  expect(made.ended?.how).toBe('halted');
  expect(consoleLines(made)).toEqual(['d1v0 faking RDMSR 0x0000008b']);
});
test('cpuid with the prefix is Xen’s answer', () => {
  const forced = bytes('0f0b 78656e 0fa2');
  const keep = [...bytes('4889d8'), ...mov(3, DATA), ...bytes('488903 48894b08 48895310')]; // rbx, rcx, rdx
  const made = run([...onStack, ...mov(0, 0x4000_0000n), ...forced, ...keep, ...shutdown()]);
  const text = [0, 8, 16].flatMap(n => u64s(wordAt(made, DATA + BigInt(n))!).slice(0, 4));
  expect(Buffer.from(text).toString()).toBe('XenVMMXenVMM');
  expect(of(made.events, 'trapret')).toMatchObject([{ pc: CODE + 27n }]);
});
test('ud2 that is no prefix is the guest’s own', () => {
  const made = withGates(gate(6, HANDLERS), bytes('0f0b 78656e 0fa3'), { handlers: shutdown() });
  expect(of(made.events, 'trap')[0]).toMatchObject({ vector: 6, pc: AT });
  expect(made.ended?.how).toBe('halted');
});

// Stores into page tables.

/** Finds the entry that maps DATA + 0x3000 by pt_base (rsi + 88 at entry): the tables are L4, L3, L2, then the L1s. */
const SLOT_OF = 8n * ((DATA + 0x1000n - BASE) >> 12n);
const tableStore = (code: number[], assist = true): Run =>
  run(
    [
      ...bytes('4c 8b 66 58'), // mov r12, [rsi + 88]
      ...onStack,
      ...(assist ? call(HYPERCALL.assist, 0n, 2n) : []),
      ...call(HYPERCALL.trapTable, DATA),
      ...mov(3, 0x3000n + SLOT_OF),
      ...bytes('4c 01 e3'), // add rbx, r12: the slot
      ...code,
      ...shutdown(),
    ],
    { data: [...gate(14, HANDLERS), ...GATES_END], handlers: shutdown(1) },
  );
const ptwrEvents = (made: Run) => of(made.events, 'pte').filter(e => e.path === PATH.ptwr);
const forms: readonly (readonly [string, string, (old: bigint) => bigint])[] = [
  ['mov', '48 c7 03 00 00 00 00', () => 0n],
  ['a byte', 'c6 03 00', old => old & ~0xffn],
  ['and', '48 83 23 fd', old => old & ~2n],
  ['xchg', '31 c0 48 87 03', () => 0n],
  ['lock btr', 'f0 48 0f ba 33 01', old => old & ~2n],
  ['cmpxchg', '48 8b 03 31 c9 f0 48 0f b1 0b', () => 0n],
  ['stos', '48 89 df 31 c0 48 ab', () => 0n],
];
test.for(forms)('a store into a page table by %s is done by Xen, one entry at a time', ([, code, expected]) => {
  const made = tableStore(bytes(code));
  expect(made.ended?.reason).toBe('the guest powered off');
  const [pte] = ptwrEvents(made);
  expect(ptwrEvents(made).length).toBe(1);
  const keep = ~(0x10_0000_0000_0167n & 0xfff0_0000_0000_0fffn);
  expect(pte!.new & keep).toBe(expected(pte!.old) & keep);
  const chain = made.events[pte!.cause]!;
  expect(chain).toMatchObject({ kind: 'trap', vector: 14, error: 3, user: false });
  // The table is as the event says.
  expect(made.xen.memory.read((pte!.table * 4096 + pte!.offset) as never, 8)).toBe(pte!.new);
});
test('rep stos over a page table is one emulated store an element, and ends behind itself', () => {
  const made = tableStore(bytes('48 89 df 31 c0 b9 03 00 00 00 f3 48 ab'));
  expect(made.ended?.reason).toBe('the guest powered off');
  expect(ptwrEvents(made).map(e => e.new)).toEqual([0n, 0n, 0n]);
});
test('without the assist the store is the guest’s fault', () => {
  const made = tableStore(bytes('48 c7 03 00 00 00 00'), false);
  expect(refused(made)).toBe(true);
});
test('a store into a higher table always is', () => {
  const made = tableStore([...bytes('48 81 eb 00 10 00 00 48 c7 03 00 00 00 00')]); // the L2 instead
  expect(refused(made)).toBe(true);
  expect(of(made.events, 'trap').at(-1)).toMatchObject({ vector: 14, error: 3 });
});
test('a store that Xen does not know how to do ends the run by its name', () => {
  expect(tableStore(bytes('48 d1 23')).ended?.reason).toBe('not implemented: a store into a page table by shl');
});

/** The entry stays not present, so that Xen takes any value: bit 0 is left alone, the odd ones are done two bytes further. */
const arithmetic: readonly (readonly [string, string])[] = [
  ['add', '48 01 0b'],
  ['sub', '48 29 0b'],
  ['a byte add', '80 03 7e'],
  ['adc', '66 11 4b 02'],
  ['sbb', '66 19 4b 02'],
  ['xor', '48 31 0b'],
  ['inc', '66 ff 43 02'],
  ['dec', '66 ff 4b 02'],
  ['neg', '48 f7 1b'],
  ['not', '66 f7 53 02'],
  ['lock add', 'f0 48 01 0b'],
  ['lock dec', 'f0 66 ff 4b 02'],
  ['xadd', '48 0f c1 0b'],
  ['lock xadd of two bytes', 'f0 66 0f c1 0b'],
  ['a cmpxchg that fails', '48 0f b1 0b'],
];
const OPERANDS = [
  [0n, 0n, 'f8'],
  [0x7fff_ffff_ffff_fffen, 0x8000_0000_0000_0000n, 'f9'],
  [0xffff_ffff_ffff_ff00n, 0xfffen, 'f9'],
  [0x70n, 0xffff_ffff_feed_cf90n, 'f8'],
] as const;
/** pushfq; pop rdx; then rax, rcx, rdx and what is at rbx to where r8 points, and r8 on. */
const KEEP = '9c 5a 49 89 00 49 89 48 08 49 89 50 10 48 8b 13 49 89 50 18 49 83 c0 20';
const KEPT = DATA + 0xa00n;
test.for(arithmetic)('%s on a page table leaves memory, registers and flags as it does elsewhere', ([, code]) => {
  const start = (0x1230n << 12n) | 0x70n;
  const on = (place: readonly number[]): { kept: Uint8Array | undefined; emulated: number } => {
    const trials = OPERANDS.flatMap(([a, c, carry]) => [
      ...mov(0, start),
      ...bytes('48 89 03'),
      ...mov(0, a),
      ...mov(1, c),
      ...bytes(`${carry} ${code} ${KEEP}`),
    ]);
    const made = tableStore([...place, ...mov(8, KEPT), ...trials]);
    expect(made.ended?.reason).toBe('the guest powered off');
    return { kept: made.xen.copyFrom(KEPT, 32 * OPERANDS.length), emulated: ptwrEvents(made).length };
  };
  const [table, plain] = [on([]), on(mov(3, DATA + 0x900n))];
  expect(plain.emulated).toBe(0);
  expect(table.emulated).toBeGreaterThan(0);
  expect(table.kept!.some(byte => byte !== 0)).toBe(true);
  expect(table.kept).toEqual(plain.kept);
});

// Descriptor tables of the guest.

/** Machine frames by pfn, as every guest of this size has them. */
const MFNS = arrange(layoutFor((5 * MIB) / 4096));
/** A page of the guest as the frame of a descriptor table: mapped read-only, its first words as given. */
const TABLE = DATA + 0x1000n;
const TABLE_MFN = BigInt(MFNS[Number((TABLE - BASE) >> 12n)]!);
const readOnlyTable = (...descriptors: bigint[]): number[] => [
  ...descriptors.flatMap((d, n) => store(TABLE + BigInt(8 * n), d)),
  ...call(HYPERCALL.vaMapping, TABLE, (TABLE_MFN << 12n) | 0x21n, 2n),
];
/** Ring 3 data from 0x5000 on, all of memory, accessed. SDM 3A, 3.4.5. */
const DATA_DESCRIPTOR = 0x00cf_f300_5000_ffffn;
const loadFs = (selector: bigint): number[] => [...mov(0, selector), ...bytes('8ee0')];

test('the guest’s GDT is where the processor looks, with Xen’s descriptors in it', () => {
  const made = run([
    ...onStack,
    ...readOnlyTable(0n, DATA_DESCRIPTOR),
    ...store(DATA + 0x900n, TABLE_MFN),
    ...call(2, DATA + 0x900n, 512n), // set_gdt
    ...loadFs(0xbn),
    ...shutdown(),
  ]);
  expect(made.ended?.how).toBe('halted');
  expect(results(made).slice(0, 2)).toEqual([0n, 0n]);
  expect(register(made, REG.fs_base!)).toBe(0x5000n);
  expect(register(made, REG.cs!)).toBe(0xe033n);
  expect(made.xen.mm.frames.type[Number(TABLE_MFN)]).toBe(5);
});
test('a selector beyond the guest’s descriptors is a fault, not a way into Xen', () => {
  const made = withGates(gate(13, HANDLERS), loadFs(0x103n), { handlers: shutdown() });
  expect(of(made.events, 'trap')).toMatchObject([{ vector: 13, error: 0x100, pc: AT + 10n }]);
});
test('pages of the LDT are mapped when the processor asks for them', () => {
  const made = run([
    ...onStack,
    ...readOnlyTable(0n, DATA_DESCRIPTOR),
    ...[BigInt(MMUEXT.set_ldt), TABLE, 2n].flatMap((v, n) => store(DATA + 0x900n + BigInt(8 * n), v)),
    ...call(HYPERCALL.mmuext, DATA + 0x900n, 1n, 0n, 0x7ff0n),
    ...loadFs(0xfn), // entry 1 of the LDT
    ...shutdown(),
  ]);
  expect(made.ended?.how).toBe('halted');
  expect(register(made, REG.fs_base!)).toBe(0x5000n);
  const [trap] = of(made.events, 'trap');
  expect(trap).toMatchObject({ vector: 14, at: 0xffff_8200_0001_0008n });
  const mapped = of(made.events, 'pte').filter(e => e.cause === trap!.seq);
  expect(mapped).toMatchObject([{ path: PATH.xen, old: 0n, new: (TABLE_MFN << 12n) | 0x63n }]);
});
test('an LDT that is not there is the guest’s page fault, at its own address', () => {
  const made = withGates(
    gate(14, HANDLERS),
    [
      ...[BigInt(MMUEXT.set_ldt), 0x10_0000n, 2n].flatMap((v, n) => store(DATA + 0x900n + BigInt(8 * n), v)),
      ...call(HYPERCALL.mmuext, DATA + 0x900n, 1n, 0n, 0x7ff0n),
      ...loadFs(0xfn),
    ],
    { handlers: shutdown() },
  );
  expect(made.ended?.how).toBe('halted');
  expect(of(made.events, 'trap').at(-1)).toMatchObject({ vector: 14, at: 0x10_0008n, user: false });
});
