import { expect, test } from 'vitest';
import { hex } from '../../../src/base/u64.js';
import { REG } from '../../../src/isa/x86_64.js';
import { takeCheckpoint } from '../../../src/machine/engine/checkpoint.js';
import { CLASS, ERRNO, HYPERCALL as NAMES } from '../../../src/systems/xen/names.js';
import {
  BASE,
  bytes,
  call,
  DATA,
  HYPERCALL,
  loadRax,
  mov,
  OLD_XEN,
  of,
  type Run,
  register,
  results,
  run,
  shutdown,
  store,
  storeRax,
  u64s,
  wordAt,
} from './guest.js';

const text = (line: string): number[] => [...Buffer.from(line, 'latin1')];
const EFAULT = -BigInt(ERRNO.EFAULT);
const EINVAL = -BigInt(ERRNO.EINVAL);
const ENOSYS = -BigInt(ERRNO.ENOSYS);

// Console, and how runs end.

test('a guest prints with console_io, in lines, and powers off', () => {
  const { events, ended, printed } = run(
    [...call(HYPERCALL.console, 0n, 10n, DATA), ...call(HYPERCALL.console, 0n, 3n, DATA + 10n), ...shutdown()],
    { data: text('hello\nworld!\n...') },
  );
  expect(ended).toEqual({ how: 'halted', reason: 'the guest powered off' });
  expect(of(events, 'console').map(e => [e.from, e.text])).toEqual([
    ['guest', 'hello\n'],
    ['guest', 'world!\n'],
  ]);
  expect(printed).toEqual(['hello\n', 'world!\n']);
  const [first, second] = of(events, 'call').map(e => e.seq);
  expect(of(events, 'console').map(e => e.cause)).toEqual([first, second]);
});
test('a long text goes in pieces, each a call of its own that says where it goes on', () => {
  const made = run([...call(HYPERCALL.console, 0n, 10_000n, DATA), ...shutdown()]);
  const calls = of(made.events, 'call').filter(e => e.number === NAMES.console_io);
  expect(calls.map(e => e.args.slice(1))).toEqual([
    [10_000n, DATA],
    [5_904n, DATA + 4096n],
    [1_808n, DATA + 8192n],
  ]);
  expect(results(made)[0]).toBe(0n); // only the last one has an answer
});
test.for([
  [0, 'halted', /powered off/],
  [1, 'halted', /rebooted/],
  [3, 'panic', /crashed/],
] as const)('sched_op(shutdown, %i) ends the run', ([reason, how, why]) => {
  expect(run(shutdown(reason)).ended).toMatchObject({ how, reason: expect.stringMatching(why) });
});
test('a guest that waits for what cannot come ends, and says what it waits for', () => {
  const made = run(call(HYPERCALL.sched, 1n, 0n));
  expect(made.ended).toMatchObject({ how: 'halted', reason: expect.stringMatching(/waits for an event/) });
  expect(made.xen.upcallMask).toBe(false); // blocking unmasks
});
test('a call Xen does not know answers -ENOSYS, as an event, and the guest goes on', () => {
  const made = run([...call(37, 1n, 2n), ...storeRax(DATA), ...call(99), ...call(0x1_0000_0001, 0n), ...shutdown()]);
  expect(results(made).slice(0, 3)).toEqual([ENOSYS, ENOSYS, ENOSYS]);
  expect(wordAt(made, DATA)).toBe(BigInt.asUintN(64, ENOSYS));
  expect(of(made.events, 'call').map(e => e.number)).toEqual([37, 99, 0xffff_ffff, NAMES.sched_op]);
});

// Calls as events.

test('a call is told with its arguments, its answer inside it, and all registers around it', () => {
  const made = run([...mov(8, 0x88n), ...call(HYPERCALL.version, 0n, 0n), ...shutdown()]);
  const asked = of(made.events, 'call')[0]!;
  expect(asked).toMatchObject({ class: CLASS.hypercall, number: NAMES.xen_version, args: [0n, 0n] });
  expect(of(made.events, 'result')[0]).toMatchObject({ cause: asked.seq, value: 0x4_0011n });
  const before = made.events[asked.seq - 1]!;
  expect(before.kind).toBe('regs');
  expect((before as { mask: bigint }).mask & (1n << 8n)).not.toBe(0n); // r8, which no SPOT has
  const after = made.events[asked.seq + 2]!;
  expect(after).toMatchObject({ kind: 'regs', cause: -1 });
  expect((after as { mask: bigint }).mask & 1n).toBe(1n); // rax
});
test('syscall leaves the next address and the flags in rcx and r11, and the result in rax', () => {
  const code = [...mov(1, 1n), ...mov(11, 2n), ...call(HYPERCALL.version, 7n, 0n)];
  const made = run([...code, ...bytes('48 89 ca'), ...shutdown(), 0xf4]); // mov rdx, rcx
  const call2 = of(made.events, 'call')[1]!;
  expect(made.ended?.how).toBe('halted');
  expect(results(made)[0]).toBe(4096n);
  expect(call2.args[0]).toBe(2n);
  expect(register(made, REG.rdx!)).toBe(BASE + 0x1000n + BigInt(code.length));
});
test('the version is that of the chosen generation', () => {
  const version = [...call(HYPERCALL.version, 0n, 0n), ...call(HYPERCALL.version, 6n, DATA), ...shutdown()];
  const [now, then] = [run(version), run(version, { notes: [OLD_XEN] })];
  expect([results(now)[0], results(then)[0]]).toEqual([0x4_0011n, 0x4_0001n]);
  expect([wordAt(now, DATA)! >> 32n, wordAt(then, DATA)! >> 32n]).toEqual([0x2_20e0n, 0xe0n]);
});
test('extended page-table addresses are a feature of who asked for them', () => {
  const made = run([...call(HYPERCALL.assist, 0n, 3n), ...call(HYPERCALL.version, 6n, DATA), ...shutdown()]);
  expect(results(made).slice(0, 2)).toEqual([0n, 0n]);
  expect(wordAt(made, DATA)! >> 32n).toBe(0x2_20f0n);
});
test('assists that do not exist, or not yet, are refused', () => {
  const asks = [
    ...call(HYPERCALL.assist, 0n, 31n),
    ...call(HYPERCALL.assist, 0n, 32n),
    ...call(HYPERCALL.assist, 5n, 2n),
  ];
  expect(results(run([...asks, ...shutdown()])).slice(0, 3)).toEqual([EINVAL, 0n, ENOSYS]);
  expect(results(run([...asks, ...shutdown()], { notes: [OLD_XEN] })).slice(0, 3)).toEqual([EINVAL, EINVAL, ENOSYS]);
});
test('segment bases are set where they belong, and told', () => {
  const set = (which: bigint, base: bigint): number[] => call(HYPERCALL.segmentBase, which, base);
  const made = run([
    ...set(0n, 0x1000n),
    ...set(1n, 0x2000n),
    ...set(2n, 0x3000n),
    ...set(0n, 1n << 63n),
    ...set(3n, 0xffffn),
    ...set(9n, 0n),
    ...shutdown(),
  ]);
  expect(results(made).slice(0, 6)).toEqual([0n, 0n, 0n, EINVAL, 0n, EINVAL]);
  expect(register(made, REG.fs_base!)).toBe(0x1000n);
  expect(register(made, REG.gs_base!)).toBe(0x3000n);
  expect(register(made, REG.kernel_gs_base!)).toBe(0n); // the selector could not be loaded, so it is null
  expect(of(made.events, 'msr').map(e => [hex(e.register), e.new])).toEqual([
    ['c0000100', 0x1000n],
    ['c0000102', 0x2000n],
    ['c0000101', 0x3000n],
  ]);
});
test('debug registers hold what a guest may break on, and nothing of Xen', () => {
  const set = (n: number, value: bigint): number[] => call(HYPERCALL.setDebug, BigInt(n), value);
  const made = run([
    ...set(0, BASE),
    ...set(1, 0xffff_8300_0000_0000n),
    ...set(7, 0x2000n),
    ...set(7, 1n << 32n),
    ...set(7, 0x2_0001n),
    ...set(9, 0n),
    ...call(HYPERCALL.getDebug, 0n),
    ...call(HYPERCALL.getDebug, 7n),
    ...call(HYPERCALL.getDebug, 12n),
    ...shutdown(),
  ]);
  const [EPERM, ENODEV] = [-BigInt(ERRNO.EPERM), -BigInt(ERRNO.ENODEV)];
  expect(results(made).slice(0, 6)).toEqual([0n, EPERM, EPERM, EINVAL, EPERM, ENODEV]);
  expect(results(made).slice(6, 9)).toEqual([BigInt.asIntN(64, BASE), 0x400n, ENODEV]);
});
test('fpu_taskswitch is the one bit of cr0 a guest owns', () => {
  const cr0 = bytes('0f 20 c0'); // mov rax, cr0
  const made = run([
    ...call(HYPERCALL.fpu, 1n),
    ...cr0,
    ...storeRax(DATA),
    ...call(HYPERCALL.fpu, 0n),
    ...cr0,
    ...storeRax(DATA + 8n),
    ...shutdown(),
  ]);
  expect([wordAt(made, DATA), wordAt(made, DATA + 8n)]).toEqual([0x8005_003bn, 0x8005_0033n]);
});

// Multicalls.

const entry = (op: number, ...args: bigint[]): number[] =>
  u64s(BigInt(op), 0x1234n, ...args, ...new Array<bigint>(6 - args.length).fill(0n));
test('a multicall carries out every entry, whatever became of those before, and answers in the list', () => {
  const list = [
    ...entry(HYPERCALL.version, 0n, 0n),
    ...entry(77),
    ...entry(HYPERCALL.version, 6n, 0x10n), // no memory there
    ...entry(HYPERCALL.multicall, DATA, 1n),
    ...entry(HYPERCALL.assist, 0n, 2n),
  ];
  const made = run([...call(HYPERCALL.multicall, DATA, 5n), ...shutdown()], { data: list });
  const answers = [0, 1, 2, 3, 4].map(n => BigInt.asIntN(64, wordAt(made, DATA + BigInt(64 * n + 8))!));
  expect(answers).toEqual([0x4_0011n, ENOSYS, EFAULT, EINVAL, 0n]);
  expect(results(made).slice(0, 6)).toEqual([...answers, 0n]);
  // call -> batch -> entry k -> what it did.
  const asked = of(made.events, 'call')[0]!;
  const batch = of(made.events, 'batch')[0]!;
  expect(batch).toMatchObject({ cause: asked.seq, count: 5 });
  const entries = of(made.events, 'entry');
  expect(entries.map(e => [e.cause, e.index, e.number])).toEqual(
    [NAMES.xen_version, 77, NAMES.xen_version, NAMES.multicall, NAMES.vm_assist].map((n, i) => [batch.seq, i, n]),
  );
  expect(of(made.events, 'result').map(e => e.cause)).toEqual([
    ...entries.map(e => e.seq),
    asked.seq,
    of(made.events, 'call')[1]!.seq,
  ]);
});
test('a multicall of a list that ends in nothing is refused there, and what was done stays done', () => {
  const last = BASE + 0x40_0000n - 64n; // the last entry the first mapping has
  const made = run([...store(last, 17n), ...call(HYPERCALL.multicall, last, 2n), ...shutdown()]);
  expect(results(made).slice(0, 2)).toEqual([0x4_0011n, EFAULT]);
  expect(wordAt(made, last + 8n)).toBe(0x4_0011n);
});
test('an entry that is not done in one go is gone on with, from where it is', () => {
  const list = [...entry(HYPERCALL.console, 0n, 9_000n, BASE), ...entry(HYPERCALL.version, 0n, 0n)];
  const made = run([...call(HYPERCALL.multicall, DATA, 2n), ...shutdown()], { data: list });
  expect(of(made.events, 'entry').map(e => [e.index, e.number, e.args[1]])).toEqual([
    [0, NAMES.console_io, 9_000n],
    [0, NAMES.console_io, 4_904n],
    [0, NAMES.console_io, 808n],
    [1, NAMES.xen_version, 0n],
  ]);
  expect(wordAt(made, DATA + 72n)).toBe(0x4_0011n);
});
test('a long multicall gives way between entries', () => {
  const list = Array.from({ length: 200 }, () => entry(77)).flat();
  const twice = [...call(HYPERCALL.multicall, DATA, 200n), ...call(HYPERCALL.multicall, BASE, 600n), ...shutdown()];
  const made = run(twice, { data: list });
  expect(of(made.events, 'batch').map(e => e.count)).toEqual([200, 600, 344, 88]);
  expect(of(made.events, 'entry').length).toBe(800);
});
test('where an entry was queued is what the guest noted beside it, if that can be true', () => {
  const records = DATA + 0x2000n;
  const note = { owner: 'rewalk', type: 2, data: u64s(DATA, records) };
  const list = [0, 1, 2].flatMap(() => entry(HYPERCALL.version, 0n, 0n));
  const record = (n: number, ...words: bigint[]): number[] =>
    words.flatMap((w, i) => store(records + BigInt(128 * n + 8 * i), w));
  const made = run(
    [
      ...record(0, 5n, 2n, BASE + 0x1010n, BASE + 0x1020n),
      ...record(1, 1n << 40n, 1n, BASE), // from the future
      ...record(2, 7n, 15n), // deeper than it can be
      ...call(HYPERCALL.multicall, DATA, 3n),
      ...shutdown(),
    ],
    { data: list, notes: [note] },
  );
  expect(of(made.events, 'entry').map(e => [e.queued, e.stack])).toEqual([
    [5n, 2],
    [0n, 0],
    [0n, 0],
  ]);
});

// Addresses a guest may not use.

const NOWHERE: Readonly<Record<string, bigint>> = {
  'no page': 0x10n,
  'an address between the halves': 0x8000_0000_0000n,
  'the M2P': 0xffff_8000_0000_0000n,
  'memory of Xen’s own': 0xffff_8200_0000_0000n,
  'the end of everything': 0xffff_ffff_ffff_fffcn,
};
test.for(Object.entries(NOWHERE))('%s is nothing a hypercall reads or writes', ([, address]) => {
  const asks = [
    call(HYPERCALL.version, 6n, address),
    call(HYPERCALL.version, 1n, address),
    call(HYPERCALL.console, 0n, 8n, address),
    call(HYPERCALL.trapTable, address),
    call(HYPERCALL.multicall, address, 1n),
    call(HYPERCALL.sched, 2n, address),
    call(HYPERCALL.callbackOp, 0n, address),
  ];
  const made = run([...asks.flat(), ...shutdown()]);
  expect(results(made)).toEqual([...asks.map(() => EFAULT), 0n]);
});
test('a page table, which is mapped read-only, is nothing a hypercall writes', () => {
  const toTables = bytes('48 8b 76 58'); // mov rsi, [rsi + 88]: pt_base of start_info, as the second argument
  const ask = [...toTables, ...mov(7, 1n), ...mov(0, 17n), 0x0f, 0x05];
  expect(results(run([...ask, ...shutdown()]))[0]).toBe(EFAULT);
});
test('a range that wraps around the end of addresses is refused, not followed', () => {
  const made = run([
    ...call(HYPERCALL.console, 0n, 0x100n, 0xffff_ffff_ffff_ff80n),
    ...call(HYPERCALL.console, 0n, 0xffff_ffffn, BASE),
    ...call(HYPERCALL.multicall, BASE + 0x3f_ff00n, 0xffff_ffffn),
    ...shutdown(),
  ]);
  expect(results(made).slice(0, 7)).toEqual([EFAULT, -BigInt(ERRNO.E2BIG), 0n, 0n, 0n, 0n, EFAULT]);
  expect(made.ended?.how).toBe('halted');
});
test('the M2P can be read where the guest is told it is, and says what the P2M says', () => {
  const made = run([...bytes('48 8b 5e 68 48 8b 1b'), ...bytes('48 89 d8'), ...storeRax(DATA), ...shutdown()]); // [mfn_list][0]
  const mfn = wordAt(made, DATA)!;
  expect(mfn).not.toBe(0n);
  const read = run([...loadRax(0xffff_8000_0000_0000n + 8n * mfn), ...storeRax(DATA), ...shutdown()]);
  expect(wordAt(read, DATA)).toBe(0n);
  expect(read.ended?.how).toBe('halted');
});

// Runs can be cut, kept and gone on with.

const busy = (): { code: number[]; data: number[] } => ({
  code: [
    ...call(HYPERCALL.assist, 0n, 2n),
    ...call(HYPERCALL.multicall, DATA, 3n),
    ...call(HYPERCALL.console, 0n, 300n, DATA),
    ...bytes('b9 00 01 00 00 ff c9 75 fc'), // a loop
    ...call(HYPERCALL.segmentBase, 2n, DATA),
    ...shutdown(),
  ],
  data: [...entry(HYPERCALL.version, 0n, 0n), ...entry(77), ...entry(HYPERCALL.assist, 0n, 3n)],
});
test.for([1, 7, 100])('pauses of %i ticks leave no trace in events, registers or memory', stride => {
  const { code, data } = busy();
  const [whole, cut] = [run(code, { data }), run(code, { data, stride })];
  expect(cut.events).toEqual(whole.events);
  expect(Buffer.compare(cut.xen.save(), whole.xen.save())).toBe(0);
  const state = ({ xen }: Run): Uint8Array => takeCheckpoint(xen.owner).state;
  expect(Buffer.compare(state(cut), state(whole))).toBe(0);
  expect(Buffer.compare(cut.xen.memory.guest, whole.xen.memory.guest)).toBe(0);
});
