/** What a domain has besides memory and processor: event channels in both forms, timers, rings, grants, refusals. */
import { describe, expect, test } from 'vitest';
import { asFrame, asPaddr, paddrOf } from '../../../src/base/brand.js';
import { XEN } from '../../../src/systems/xen/model/index.js';
import { arrange, layoutFor } from '../../../src/systems/xen/model/layout.js';
import type { Xen } from '../../../src/systems/xen/model/xen.js';
import { ERRNO, HYPERCALL as NAMES } from '../../../src/systems/xen/names.js';
import {
  BASE,
  call,
  DATA,
  HYPERCALL,
  listening,
  MIB,
  OLD_XEN,
  of,
  type Run,
  type RunOptions,
  results,
  run,
  shutdown,
  store,
  u64s,
  wordAt,
} from './guest.js';

const u32s = (...values: number[]): number[] => [...new Uint8Array(new Uint32Array(values).buffer)];
const err = (name: keyof typeof ERRNO): bigint => -BigInt(ERRNO[name]);
const evtchn = (command: number, at = DATA): number[] => call(NAMES.event_channel_op, BigInt(command), at);
const EVTCHN = {
  bindInterdomain: 0,
  bindVirq: 1,
  bindPirq: 2,
  close: 3,
  send: 4,
  status: 5,
  allocUnbound: 6,
  bindIpi: 7,
  bindVcpu: 8,
  unmask: 9,
  reset: 10,
  initControl: 11,
  expandArray: 12,
  setPriority: 13,
};
const SELF = 0x7ff0;
/** The n-th argument structure, 32 bytes each. */
const arg = (n: number): bigint => DATA + BigInt(32 * n);
const args = (...all: number[][]): number[] => all.flatMap(a => [...a, ...new Array<number>(32 - a.length).fill(0)]);
/** Machine frames of a guest of 5 MiB. */
const MFNS = arrange(layoutFor((5 * MIB) / 4096));
const mfnOf = (at: bigint): number => MFNS[Number((at - BASE) >> 12n)]!;
const word32 = ({ xen }: Run, at: number): number => Number(xen.memory.read(asPaddr(at), 4));
const shared = ({ xen }: Run, offset: number): bigint => xen.memory.read(paddrOf(xen.layout.sharedInfo, offset), 8);
const PENDING = 0x800;
const MASK = 0xa00;
const SELECTOR = 8;

describe('event channels', () => {
  test('are bound to the lowest free port, and say so where the guest asked', () => {
    const made = run(
      [
        ...evtchn(EVTCHN.bindVirq, arg(0)),
        ...evtchn(EVTCHN.bindIpi, arg(1)),
        ...evtchn(EVTCHN.allocUnbound, arg(2)),
        ...evtchn(EVTCHN.close, arg(3)),
        ...evtchn(EVTCHN.bindIpi, arg(4)),
        ...shutdown(),
      ],
      { data: args(u32s(0, 0), u32s(0), u32s(SELF), u32s(4), u32s(0)) },
    );
    expect(results(made).slice(0, 5)).toEqual([0n, 0n, 0n, 0n, 0n]);
    const port = (n: number, offset: bigint): bigint => wordAt(made, arg(n) + offset)! & 0xffff_ffffn;
    expect([port(0, 8n), port(1, 4n), port(2, 4n), port(4, 4n)]).toEqual([3n, 4n, 5n, 4n]); // 1 and 2 are store and console
  });
  test.for([
    ['no command', 99, [], err('ENOSYS')],
    ['a virq there is not', EVTCHN.bindVirq, u32s(24, 0), err('EINVAL')],
    ['a virq of no vcpu', EVTCHN.bindVirq, u32s(0, 1), err('ENOENT')],
    ['a global virq of another vcpu', EVTCHN.bindVirq, u32s(2, 1), err('EINVAL')],
    ['a device’s interrupt', EVTCHN.bindPirq, u32s(1, 0), err('EPERM')],
    ['another domain’s port', EVTCHN.bindInterdomain, u32s(1, 1), err('ESRCH')],
    ['a port for another domain', EVTCHN.allocUnbound, u32s(5), err('ESRCH')],
    ['an ipi of no vcpu', EVTCHN.bindIpi, u32s(1), err('ENOENT')],
    ['closing no port', EVTCHN.close, u32s(77), err('EINVAL')],
    ['sending on no port', EVTCHN.send, u32s(77), err('EINVAL')],
    ['unmasking no port', EVTCHN.unmask, u32s(77), err('EINVAL')],
    ['the state of port 0', EVTCHN.status, u32s(SELF, 0), err('EINVAL')],
    ['the state of another domain’s port', EVTCHN.status, u32s(9, 1), err('ESRCH')],
    ['moving no port', EVTCHN.bindVcpu, u32s(77, 0), err('EINVAL')],
    ['moving to no vcpu', EVTCHN.bindVcpu, u32s(1, 1), err('ENOENT')],
    ['resetting another domain', EVTCHN.reset, u32s(9), err('ESRCH')],
    ['priorities of two levels', EVTCHN.setPriority, u32s(1, 1), err('ENOSYS')],
    ['an array of two levels', EVTCHN.expandArray, u64s(1n), err('EOPNOTSUPP')],
    ['a control block for no vcpu', EVTCHN.initControl, [...u64s(1n), ...u32s(0, 1)], err('ENOENT')],
    ['a control block across pages', EVTCHN.initControl, [...u64s(1n), ...u32s(4032, 0)], err('EINVAL')],
    ['a control block out of line', EVTCHN.initControl, [...u64s(1n), ...u32s(4, 0)], err('EINVAL')],
    ['a control block in no memory', EVTCHN.initControl, [...u64s(1n << 40n), ...u32s(0, 0)], err('EINVAL')],
    ['a control block of Xen’s', EVTCHN.initControl, [...u64s(2n), ...u32s(0, 0)], err('EINVAL')],
  ] as const)('%s: refused', ([, command, data, answer]) => {
    const made = run([...evtchn(command), ...shutdown()], { data: [...data] });
    expect(results(made)[0]).toBe(answer);
  });
  test('an argument that is nowhere faults, and nothing was bound', () => {
    const made = run([...evtchn(EVTCHN.bindIpi, 0x10n), ...shutdown()]);
    expect(results(made)[0]).toBe(err('EFAULT'));
    expect([...made.xen.io.ports.keys()]).toEqual([1, 2]);
  });
  test('a virq has one port', () => {
    const made = run([...evtchn(EVTCHN.bindVirq), ...evtchn(EVTCHN.bindVirq), ...shutdown()]);
    expect(results(made).slice(0, 2)).toEqual([0n, err('EEXIST')]);
  });
  test('a raised port is pending once, selected once, and the vcpu’s byte says so', () => {
    const made = run(
      [...evtchn(EVTCHN.bindIpi, arg(0)), ...evtchn(EVTCHN.send, arg(1)), ...evtchn(4, arg(1)), ...shutdown()],
      {
        data: args(u32s(0), u32s(3)),
      },
    );
    expect(shared(made, PENDING)).toBe(1n << 3n);
    expect(shared(made, SELECTOR)).toBe(1n);
    expect(made.xen.upcallPending).toBe(true);
    expect(of(made.events, 'pending').map(e => [e.port, e.new])).toEqual([[3, true]]);
  });
  test('a masked port waits for its unmasking', () => {
    const masked = (xen: Xen): void => xen.memory.hostStore(paddrOf(xen.layout.sharedInfo, MASK), 8, 1n << 3n);
    const code = [...evtchn(EVTCHN.bindIpi, arg(0)), ...evtchn(EVTCHN.send, arg(1))];
    const data = args(u32s(0), u32s(3));
    const before = run([...code, ...shutdown()], { data, before: masked });
    expect([shared(before, PENDING), shared(before, SELECTOR), before.xen.upcallPending]).toEqual([8n, 0n, false]);
    const after = run([...code, ...evtchn(EVTCHN.unmask, arg(1)), ...shutdown()], { data, before: masked });
    expect([shared(after, MASK), shared(after, SELECTOR), after.xen.upcallPending]).toEqual([0n, 1n, true]);
    expect(of(after.events, 'mask').map(e => [e.port, e.old, e.new])).toEqual([[3, true, false]]);
  });
  test('a closed port is not pending', () => {
    const made = run(
      [...evtchn(EVTCHN.bindIpi, arg(0)), ...evtchn(4, arg(1)), ...evtchn(EVTCHN.close, arg(1)), ...shutdown()],
      { data: args(u32s(0), u32s(3)) },
    );
    expect(shared(made, PENDING)).toBe(0n);
    expect(of(made.events, 'pending').map(e => e.new)).toEqual([true, false]);
  });
});

/** FIFO: control block at CONTROL, array page at ARRAY. */
const CONTROL = BASE + 0x10_0000n;
const ARRAY = BASE + 0x10_1000n;
describe('event channels in the FIFO form', () => {
  const setup = [...evtchn(EVTCHN.initControl, arg(0)), ...evtchn(EVTCHN.expandArray, arg(1))];
  const data = (...more: number[][]): number[] =>
    args([...u64s(BigInt(mfnOf(CONTROL))), ...u32s(64, 0)], u64s(BigInt(mfnOf(ARRAY))), ...more);
  const entry = (made: Run, port: number): number => word32(made, mfnOf(ARRAY) * 4096 + 4 * port);
  const control = (made: Run, offset: number): number => word32(made, mfnOf(CONTROL) * 4096 + 64 + offset);
  const HEAD = 8;

  test('ports are queued by priority, linked in order, and made ready once', () => {
    const made = run(
      [
        ...setup,
        ...evtchn(EVTCHN.bindIpi, arg(2)),
        ...evtchn(EVTCHN.bindIpi, arg(2)),
        ...evtchn(EVTCHN.bindIpi, arg(2)),
        ...evtchn(EVTCHN.setPriority, arg(5)),
        ...[3, 4, 5].flatMap(port => evtchn(EVTCHN.send, arg(port === 5 ? 5 : port))),
        ...shutdown(),
      ],
      { data: data(u32s(0), u32s(3), u32s(4), u32s(5, 2)) },
    );
    expect(results(made).every(r => r === 0n)).toBe(true);
    expect(wordAt(made, arg(0) + 16n)! & 0xffn).toBe(17n); // link bits
    const [pendingLinked, link] = [0xa000_0000, 4];
    expect([entry(made, 3), entry(made, 4), entry(made, 5)]).toEqual([
      pendingLinked + link,
      pendingLinked,
      pendingLinked,
    ]);
    expect([control(made, HEAD + 4 * 7), control(made, HEAD + 4 * 2), control(made, 0)]).toEqual([
      3,
      5,
      (1 << 7) | (1 << 2),
    ]);
    expect(made.xen.upcallPending).toBe(true);
    expect(of(made.events, 'pending').map(e => e.port)).toEqual([3, 4, 5]);
  });
  test('a port whose last one was taken off is the head of its queue again', () => {
    const taken = store(ARRAY + 8n, 0n); // the words of ports 2 and 3: the guest took 3 off
    const made = run(
      [
        ...setup,
        ...evtchn(EVTCHN.bindIpi, arg(2)),
        ...evtchn(4, arg(3)),
        ...taken,
        ...evtchn(4, arg(3)),
        ...shutdown(),
      ],
      { data: data(u32s(0), u32s(3)) },
    );
    expect(entry(made, 3)).toBe(0xa000_0000);
    expect(control(made, HEAD + 4 * 7)).toBe(3);
    expect(of(made.events, 'pending').length).toBe(2);
  });
  test('a masked port is pending, and linked when it is unmasked', () => {
    const masked = store(ARRAY + 8n, 0x4000_0000_0000_0000n); // port 3
    const code = [...setup, ...masked, ...evtchn(EVTCHN.bindIpi, arg(2)), ...evtchn(4, arg(3))];
    const options: RunOptions = { data: data(u32s(0), u32s(3)) };
    const before = run([...code, ...shutdown()], options);
    expect([entry(before, 3), before.xen.upcallPending]).toEqual([0xc000_0000, false]);
    const after = run([...code, ...evtchn(EVTCHN.unmask, arg(3)), ...shutdown()], options);
    expect([entry(after, 3), after.xen.upcallPending]).toEqual([0xa000_0000, true]);
  });
  test('what was raised without a word is raised when there is one', () => {
    const made = run(
      [
        ...evtchn(EVTCHN.initControl, arg(0)),
        ...evtchn(EVTCHN.bindIpi, arg(2)),
        ...evtchn(4, arg(3)),
        ...evtchn(EVTCHN.expandArray, arg(1)),
        ...shutdown(),
      ],
      { data: data(u32s(0), u32s(3)) },
    );
    expect(entry(made, 3)).toBe(0xa000_0000);
    const [array] = of(made.events, 'call').filter(e => e.args[0] === BigInt(EVTCHN.expandArray));
    expect(of(made.events, 'pending')[0]!.cause).toBe(array!.seq);
  });
  test('links that make no sense are never followed', () => {
    // The guest links its words in circles; Xen only ever writes to the last it linked.
    const circle = [...store(ARRAY + 8n, 0x2000_0003_2000_0002n), ...store(ARRAY + 16n, 0x2000_0003_2000_0004n)];
    const made = run([...setup, ...circle, ...evtchn(EVTCHN.bindIpi, arg(2)), ...evtchn(4, arg(3)), ...shutdown()], {
      data: data(u32s(0), u32s(6)),
    });
    expect(made.ended?.how).toBe('halted');
    expect(wordAt(made, arg(2) + 4n)! & 0xffff_ffffn).toBe(6n); // 3, 4, 5 are busy: still linked
    expect(entry(made, 6)).toBe(0xa000_0000);
  });
  test('Xen holds the pages while it writes to them, and lets go at a reset', () => {
    const options = { data: data(u32s(SELF)) };
    const held = run([...setup, ...shutdown()], options);
    const count = (made: Run, at: bigint): number => made.xen.mm.frames.typeCount[mfnOf(at)]!;
    const after = run([...setup, ...evtchn(EVTCHN.reset, arg(2)), ...shutdown()], options);
    expect([count(held, CONTROL) - count(after, CONTROL), count(held, ARRAY) - count(after, ARRAY)]).toEqual([1, 1]);
    expect(after.xen.io.fifo).toBeUndefined();
  });
  test('Xen 4.1 has no such form', () => {
    const made = run([...setup, ...shutdown()], { data: data(), notes: [OLD_XEN] });
    expect(results(made).slice(0, 2)).toEqual([err('ENOSYS'), err('ENOSYS')]);
  });
  test('its state is kept with a checkpoint, and damaged ones are refused', () => {
    const made = run([...setup, ...evtchn(EVTCHN.bindIpi, arg(2)), ...evtchn(4, arg(3)), ...shutdown()], {
      data: data(u32s(0), u32s(3)),
    });
    const saved = Buffer.from(made.xen.save()).toString('latin1');
    const resume = (text: string) =>
      XEN.resume(5 * MIB, Buffer.from(text, 'latin1'), () => {}, { log: listening().log, intern: () => 0 });
    expect(Buffer.from(resume(saved).save()).toString('latin1')).toBe(saved);
    for (const [from, to] of [
      ['"tails":[', '"tails":[99999,'],
      ['"control":', '"control":99999999'],
      ['"pages":[', '"pages":[-1,'],
      ['"priority":7', '"priority":16'],
    ] as const) {
      expect(saved).toContain(from);
      expect(() => resume(saved.replace(from, to))).toThrow(/damaged/);
    }
  });
});

const timerAt = (ns: bigint): number[] => call(NAMES.set_timer_op, ns);
const BLOCK = call(HYPERCALL.sched, 1n, 0n);
describe('timers', () => {
  const code = [...evtchn(EVTCHN.bindVirq), ...timerAt(50_000n), ...[0xeb, 0xfe]]; // then it spins
  test.for([1e9, 7777, 100, 13])('the timer rings at its tick, paused every %i ticks', stride => {
    const made = run(code, { stride, ticks: 60_000 });
    expect(of(made.events, 'pending').map(e => [e.ticks, e.port])).toEqual([[50_000, 3]]);
  });
  test('waiting goes on to when it rings, and what was skipped is told', () => {
    const made = run([...evtchn(EVTCHN.bindVirq), ...timerAt(500_000n), ...BLOCK, ...shutdown()]);
    const [idle] = of(made.events, 'idle');
    expect(Number(idle!.skipped) + idle!.ticks).toBe(500_000);
    expect(of(made.events, 'pending')[0]!.ticks).toBe(500_000);
    expect(made.xen.ticks).toBeLessThan(500_100);
  });
  test('a time that has gone by rings at once', () => {
    const data = u64s(1n, 0n);
    const made = run([...evtchn(EVTCHN.bindVirq, arg(2)), ...call(NAMES.vcpu_op, 8n, 0n, DATA), ...shutdown()], {
      data,
    });
    expect(results(made).slice(0, 2)).toEqual([0n, 0n]);
    expect(of(made.events, 'pending').length).toBe(1);
  });
  test('a timer that was stopped does not ring', () => {
    const stopped = [...evtchn(EVTCHN.bindVirq), ...timerAt(500n), ...timerAt(0n), ...[0xeb, 0xfe]];
    expect(of(run(stopped, { ticks: 5000 }).events, 'pending')).toEqual([]);
  });
  test('poll waits for a masked port, or for its time', () => {
    const masked = (xen: Xen): void => xen.memory.hostStore(paddrOf(xen.layout.sharedInfo, MASK), 8, 1n << 3n);
    const poll = (timeout: bigint): number[] => [...u64s(arg(4)), ...u32s(1, 0), ...u64s(timeout)];
    const asks = (timeout: bigint): Run =>
      run([...evtchn(EVTCHN.bindVirq), ...timerAt(9000n), ...call(HYPERCALL.sched, 3n, arg(2)), ...shutdown()], {
        data: args(u32s(0, 0), [], poll(timeout), [], u32s(3)),
        before: masked,
      });
    expect(of(asks(0n).events, 'idle').map(e => e.ticks + Number(e.skipped))).toEqual([9000]);
    expect(of(asks(5000n).events, 'idle').map(e => e.ticks + Number(e.skipped))).toEqual([5000]);
    expect(of(asks(5000n).events, 'pending')).toEqual([]);
  });
  test('poll of no port, or of too many, is refused', () => {
    const poll = (count: number): number[] => [...u64s(arg(4)), ...u32s(count, 0), ...u64s(0n)];
    const made = run(
      [
        ...call(HYPERCALL.sched, 3n, arg(0)),
        ...call(HYPERCALL.sched, 3n, arg(1)),
        ...call(HYPERCALL.sched, 3n, 0x10n),
        ...shutdown(),
      ],
      { data: args(poll(1), poll(129), [], [], u32s(77)) },
    );
    expect(results(made).slice(0, 3)).toEqual([err('EINVAL'), err('EINVAL'), err('EFAULT')]);
  });
});

describe('the vcpu', () => {
  test('moves its part of the shared page once, to memory that is held, and finds everything pending there', () => {
    const at = BASE + 0x10_0000n;
    const register = call(NAMES.vcpu_op, 10n, 0n, DATA);
    const made = run([...register, ...register, ...shutdown()], {
      data: [...u64s(BigInt(mfnOf(at))), ...u32s(128, 0)],
    });
    expect(results(made).slice(0, 2)).toEqual([0n, err('EINVAL')]);
    expect(made.xen.io.vcpuInfoAt).toBe(mfnOf(at) * 4096 + 128);
    expect(wordAt(made, at + 128n + 8n)).toBe(0xffff_ffff_ffff_ffffn);
    expect(made.xen.mm.frames.has(asFrame(mfnOf(at)), 2)).toBe(true);
  });
  test.for([
    ['across a page', [...u64s(BigInt(mfnOf(BASE + 0x10_0000n))), ...u32s(4033, 0)], err('EINVAL')],
    ['in no memory', [...u64s(1n << 50n), ...u32s(0, 0)], err('EINVAL')],
    ['in a page table of Xen’s', [...u64s(3n), ...u32s(0, 0)], err('EINVAL')],
  ] as const)('%s it does not', ([, data, answer]) => {
    expect(results(run([...call(NAMES.vcpu_op, 10n, 0n, DATA), ...shutdown()], { data: [...data] }))[0]).toBe(answer);
  });
  test('reads how long it waited', () => {
    const area = DATA + 0x800n;
    const made = run(
      [
        ...call(NAMES.vcpu_op, 5n, 0n, DATA),
        ...evtchn(EVTCHN.bindVirq, arg(2)),
        ...timerAt(70_000n),
        ...BLOCK,
        ...shutdown(),
      ],
      { data: u64s(area) },
    );
    const [idle] = of(made.events, 'idle');
    expect(wordAt(made, area + 32n)).toBe(idle!.skipped); // blocked
    expect(wordAt(made, area + 8n)).toBe(70_000n); // running since
  });
  test('there is one of it', () => {
    const made = run([...call(NAMES.vcpu_op, 3n, 0n, 0n), ...call(NAMES.vcpu_op, 3n, 1n, 0n), ...shutdown()]);
    expect(results(made).slice(0, 2)).toEqual([1n, err('ENOENT')]);
  });
});

describe('rings', () => {
  const SEND = (port: number): RunOptions => ({ data: u32s(port) });
  const put = (xen: Xen, mfn: number, offset: number, data: Uint8Array): void =>
    xen.memory.hostWrite(asPaddr(mfn * 4096 + offset), data);
  const counts = (xen: Xen, mfn: number, offset: number, ...values: number[]): void =>
    put(xen, mfn, offset, new Uint8Array(new Uint32Array(values).buffer));

  test('the console prints what the ring holds, across its end', () => {
    const made = run([...evtchn(EVTCHN.send), ...shutdown()], {
      ...SEND(2),
      before: xen => {
        const { mfn } = xen.io.console;
        put(xen, mfn, 0x400 + 2046, Buffer.from('he'));
        put(xen, mfn, 0x400, Buffer.from('llo\n'));
        counts(xen, mfn, 0xc08, 2046, 2052);
      },
    });
    expect(made.printed).toEqual(['hello\n']);
    expect(word32(made, made.xen.io.console.mfn * 4096 + 0xc08)).toBe(2052);
  });
  test.for([
    [0, 2049],
    [5, 4],
    [0xffff_ffff, 0x7fff_ffff],
  ] as const)('counts that no ring has, %i and %i, print nothing', ([consumer, producer]) => {
    const made = run([...evtchn(EVTCHN.send), ...shutdown()], {
      ...SEND(2),
      before: xen => counts(xen, xen.io.console.mfn, 0xc08, consumer, producer),
    });
    expect([made.ended?.how, made.printed]).toEqual(['halted', []]);
  });

  const message = (type: number, id: number, body: string, length = body.length): Buffer =>
    Buffer.concat([Buffer.from(u32s(type, id, 0, length)), Buffer.from(body)]);
  const asks = (data: Buffer, ...more: number[]): Run =>
    run([...evtchn(EVTCHN.send), ...more, ...shutdown()], {
      ...SEND(1),
      before: xen => {
        put(xen, xen.io.xenstore.mfn, 0, data);
        counts(xen, xen.io.xenstore.mfn, 0x800, 0, data.length);
      },
    });
  const said = (made: Run): [type: number, id: number, body: string][] => {
    const base = made.xen.io.xenstore.mfn * 4096;
    const all = Buffer.from(made.xen.memory.guest.subarray(base + 0x400, base + 0x400 + word32(made, base + 0x80c)));
    const found: [number, number, string][] = [];
    for (let at = 0; at < all.length; at += 16 + all.readUInt32LE(at + 12))
      found.push([
        all.readUInt32LE(at),
        all.readUInt32LE(at + 4),
        all.toString('latin1', at + 16, at + 16 + all.readUInt32LE(at + 12)),
      ]);
    return found;
  };
  test('xenstore answers that nothing is there, and a watch fires once', () => {
    const made = asks(Buffer.concat([message(2, 7, 'device\0'), message(4, 8, 'a\0token\0'), message(77, 9, '')]));
    expect(said(made)).toEqual([
      [16, 7, 'ENOENT\0'],
      [4, 8, 'OK\0'],
      [15, 0, 'a\0token\0'],
      [16, 9, 'ENOSYS\0'],
    ]);
  });
  test('a message in two pieces is answered when it is whole', () => {
    const whole = message(2, 7, 'device\0');
    const half = asks(whole.subarray(0, 18));
    expect(said(half)).toEqual([]);
    expect(half.xen.io.store.input.length).toBe(18);
  });
  test('a message that is too long ends the conversation', () => {
    const made = asks(message(2, 7, 'x', 5000));
    expect([said(made), made.xen.io.store.input, made.ended?.how]).toEqual([[], '', 'halted']);
  });
});

describe('the grant table', () => {
  const grant = (op: number, at = DATA, count = 1): number[] =>
    call(NAMES.grant_table_op, BigInt(op), at, BigInt(count));
  const bigger = { input: { memoryBytes: 40 * MIB } as object };
  test('has frames of Xen’s, named where the guest asks', () => {
    const list = DATA + 0x800n;
    const made = run([...grant(6, arg(0)), ...grant(2, arg(1)), ...grant(6, arg(2)), ...shutdown()], {
      ...bigger,
      data: args(u32s(SELF), [...u32s(SELF, 3, 0, 0), ...u64s(list)], u32s(SELF)),
    });
    expect(results(made).slice(0, 3)).toEqual([0n, 0n, 0n]);
    expect([wordAt(made, arg(0)), wordAt(made, arg(2))].map(w => w! >> 32n)).toEqual([1n, 3n]);
    const { grants } = made.xen.layout;
    expect([0n, 8n, 16n].map(n => wordAt(made, list + n))).toEqual([0, 1, 2].map(n => BigInt(grants + n)));
    expect(made.xen.mm.frames.type[grants + 2]).toBe(7); // writable, and the domain's to map
  });
  test('is of version 1, and asks beyond it are refused', () => {
    const made = run(
      [
        ...grant(8, arg(0)),
        ...grant(8, arg(1)),
        ...grant(8, arg(2)),
        ...grant(10, arg(3)),
        ...grant(99),
        ...grant(6, arg(3), 2),
        ...shutdown(),
      ],
      { ...bigger, data: args(u32s(1), u32s(2), u32s(3), u32s(SELF)) },
    );
    expect(results(made).slice(0, 6)).toEqual([0n, err('ENOSYS'), err('EINVAL'), 0n, err('ENOSYS'), err('EINVAL')]);
    expect(wordAt(made, arg(3))! >> 32n).toBe(1n);
  });
  test('too many frames, and mapping what nobody granted, say so in their status', () => {
    const made = run([...grant(2, arg(0)), ...grant(0, arg(1), 2), ...grant(1, arg(3)), ...shutdown()], {
      ...bigger,
      data: args(u32s(SELF, 1000), u32s(0, 0, 2, 0, 9), u32s(0, 0, 0, 0, 9), []),
    });
    expect(results(made).slice(0, 3)).toEqual([0n, 0n, 0n]);
    const status = (n: number, offset: bigint): bigint =>
      BigInt.asIntN(16, wordAt(made, arg(n) + (offset & ~7n))! >> (8n * (offset % 8n)));
    expect([status(0, 8n), status(1, 18n), status(2, 18n), status(3, 20n)]).toEqual([-1n, -2n, -3n, -4n]);
  });
  test('many requests go in pieces', () => {
    const made = run([...call(NAMES.grant_table_op, 1n, BASE + 0x10_0000n, 600n), ...shutdown()], bigger);
    const counts = of(made.events, 'call')
      .filter(e => e.number === NAMES.grant_table_op)
      .map(e => e.args[2]);
    expect(counts).toEqual([600n, 344n, 88n]);
  });
  test('a small domain has none', () => {
    const made = run([...grant(6, arg(0)), ...shutdown()], { data: args(u32s(SELF)) });
    expect([results(made)[0], wordAt(made, arg(0))! >> 32n, wordAt(made, arg(0) + 8n)! & 0xffff_ffffn]).toEqual([
      0n,
      0n,
      0n,
    ]);
  });
});

describe('what a domain without devices asks for', () => {
  test('its io privilege level is its own', () => {
    const iopl = (at: bigint): number[] => call(NAMES.physdev_op, 6n, at);
    const made = run([...iopl(arg(0)), ...iopl(arg(1)), ...iopl(0x10n), ...shutdown()], {
      data: args(u32s(1), u32s(4)),
    });
    expect(results(made).slice(0, 3)).toEqual([0n, err('EINVAL'), err('EFAULT')]);
    expect(made.xen.vcpu.iopl).toBe(1n << 12n);
  });
  test('a page for ends of interrupts is held once', () => {
    const ask = call(NAMES.physdev_op, 28n, DATA);
    const at = BASE + 0x10_0000n;
    const [one, two] = [
      run([...ask, ...shutdown()], { data: u64s(BigInt(mfnOf(at))) }),
      run([...ask, ...ask, ...shutdown()], { data: u64s(BigInt(mfnOf(at))) }),
    ];
    expect([results(one)[0], results(two)[1]]).toEqual([0n, err('EBUSY')]);
    expect(two.xen.mm.frames.total[mfnOf(at)]).toBe(one.xen.mm.frames.total[mfnOf(at)]);
  });
  test('platform, HVM and performance counters are refused as Xen does', () => {
    const made = run(
      [
        ...call(NAMES.platform_op, arg(0)),
        ...call(NAMES.platform_op, arg(1)),
        ...call(NAMES.hvm_op, 23n, DATA),
        ...call(40, 4n, DATA),
        ...shutdown(),
      ],
      { data: args(u32s(0, 0x0300_0000), u32s(0, 1)) },
    );
    expect(results(made).slice(0, 4)).toEqual([err('EPERM'), err('EACCES'), err('EINVAL'), err('EOPNOTSUPP')]);
  });
});
