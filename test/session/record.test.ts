import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import { KIND } from '../../src/events/kinds.js';
import { openRecording } from '../../src/recording/reader.js';
import { record } from '../../src/session/record.js';
import { bytes } from '../machine/engine/guest.js';
import { imageOf } from '../systems/bare/image.js';
import { eventsOf, freshFile, IMAGE, opened, recorded, TICKS } from './guests.js';

test('the same run twice gives the same bytes', () => {
  const [a, b] = [recorded(), recorded()];
  expect(a.result).toMatchObject({ how: 'halted', reason: 'hlt with interrupts off', ticks: TICKS });
  expect(b.result).toEqual(a.result);
  expect(readFileSync(b.file).equals(readFileSync(a.file))).toBe(true);
});

test('checkpoints every 1,000 ticks, every 100,000 and hardly ever give the same events', () => {
  const [often, seldom, never] = [1_000, 100_000, 1e9].map(checkpointTicks => opened({ checkpointTicks }));
  expect(often!.checkpoints.length).toBe(1 + Math.floor(TICKS / 1_000));
  expect(seldom!.checkpoints.map(c => c.ticks)).toEqual([0, 100_000]);
  expect(never!.checkpoints.map(c => c.ticks)).toEqual([0]);
  expect(often!.chain).toBe(never!.chain);
  expect(seldom!.chain).toBe(never!.chain);
  expect(often!.id).toBe(never!.id);
});

test('where little happens limits are looked at every 2^20 ticks, and again every 2^16 from the look that finds many events', () => {
  // mov ecx,1500000; L: dec ecx; jnz L; mov ecx,100000; mov ebx,0x3fa0; mov eax,0x83: entry 500 of the loader's level-2 table
  // M: add eax,0x200000; and eax,0x3fe00083; mov [rbx],rax; dec ecx; jnz M; hlt
  const code = 'b960e31600 ffc9 75fc b9a0860100 bba03f0000 b883000000 0500002000 258300e03f 488903 ffc9 75ef f4';
  const CODE = 0x10_0000;
  const image = imageOf({ [CODE]: bytes(code) });
  const run = (events: number) => recorded({ image, limits: { ticks: 1e9, events } });
  const [quiet, usual] = [2 ** 20, 2 ** 16];
  // An event in five ticks from tick 3,000,004 on, and a checkpoint when there were 32,768.
  const checkpoints = openRecording(run(1e6).file).checkpoints.map(c => c.ticks);
  expect(checkpoints).toEqual([0, 3 * quiet + usual, 3 * quiet + 4 * usual]);
  expect(run(20_000).result).toMatchObject({ how: 'limit', ticks: 3 * quiet });
  expect(run(30_000).result).toMatchObject({ how: 'limit', ticks: 3 * quiet + usual });
});

test('full detail adds a stream and leaves the main stream as it is, to the byte', () => {
  const [mmu, full] = [opened(), opened({ detail: 'full' })];
  expect(full.chain).toBe(mmu.chain);
  expect(eventsOf(full)).toEqual(eventsOf(mmu));
  let steps = 0;
  for (const block of full.details(0, full.count))
    for (const kind of block.kind.subarray(0, block.count)) steps += Number(kind === KIND.step);
  // One to begin with, one for each instruction, and one where the delivery of a trap changed registers.
  const traps = eventsOf(full).filter(e => e.kind === 'trap').length;
  expect(steps).toBe(1 + TICKS + traps);
  expect([...mmu.details(0, mmu.count)]).toEqual([]);
});

test('a limit of ticks ends the run exactly there, and what was recorded is a prefix', () => {
  const whole = eventsOf(opened());
  for (const ticks of [1, 50_742, 50_743, 100_000]) {
    const { file, result } = recorded({ limits: { ticks, events: 1e6 } });
    expect(result).toMatchObject({ how: 'limit', reason: `${ticks} ticks`, ticks });
    const events = eventsOf(openRecording(file));
    expect(events.at(-1)?.kind).toBe('end');
    const shared = events.findIndex((e, n) => JSON.stringify(e, text) !== JSON.stringify(whole[n], text));
    expect(events.length - shared).toBeLessThanOrEqual(2); // the last registers, and the end
    expect(whole[shared]!.ticks).toBeGreaterThanOrEqual(ticks);
  }
});
const text = (_: string, v: unknown): unknown => (typeof v === 'bigint' ? v.toString() : v);

test('stopped from outside, a recording is whole and says so', () => {
  const abort = new AbortController();
  const out = freshFile();
  const limits = { ticks: 1e9, events: 1e6 };
  const work = record({ system: 'bare', guest: 'g', image: IMAGE, detail: 'mmu', limits, out, signal: abort.signal });
  work.next();
  abort.abort();
  const { done, value } = work.next();
  expect(done).toBe(true);
  expect(value).toMatchObject({ how: 'stopped', ticks: 65_536 });
  const source = openRecording(out);
  expect(source.closed).toBe(true);
  expect(eventsOf(source).at(-1)).toMatchObject({ kind: 'end', how: 'stopped', ticks: 65_536 });
});

test('given up in the middle, what was recorded stays readable', () => {
  const out = freshFile();
  const limits = { ticks: 1e9, events: 1e6 };
  const work = record({ system: 'bare', guest: 'g', image: IMAGE, detail: 'mmu', limits, out });
  work.next();
  work.return(undefined as never);
  expect(openRecording(out).closed).toBe(false);
});

test('a bad image leaves no file, and an older recording as it was', () => {
  const out = freshFile();
  const bad = (image: Uint8Array, why: RegExp) => {
    expect(() => recorded({ image, out })).toThrow(Trouble);
    expect(() => recorded({ image, out })).toThrow(why);
  };
  bad(Uint8Array.of(1, 2, 3), /not an ELF image/);
  expect(existsSync(out)).toBe(false);
  writeFileSync(out, 'older');
  const patched = (offset: number, value: bigint): Uint8Array => {
    const copy = Uint8Array.from(IMAGE);
    new DataView(copy.buffer).setBigUint64(offset, value, true);
    return copy;
  };
  bad(patched(24, 1n << 40n), /entry 10000000000 is above/);
  bad(patched(64 + 24, 0x1000n), /segment at 1000 is below/);
  bad(patched(64 + 24, 0x1ff_f000n), /does not fit/);
  bad(patched(18, 3n), /64-bit x86/);
  expect(readFileSync(out, 'latin1')).toBe('older');
  expect(() => recorded({ system: 'vms' })).toThrow(/no system is called vms/);
});

test('what a guest prints is told line by line, as it prints', () => {
  const lines: string[] = [];
  recorded({ printed: line => lines.push(line) });
  expect(lines).toEqual([
    'kernel: building page tables\n',
    'kernel: loading cr3 0000000001000000\n',
    'user: 0000000000603000\n',
    'user: 0000000000602000\n',
    'kernel: done\n',
  ]);
});
