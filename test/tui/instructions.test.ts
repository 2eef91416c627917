/** One instruction on or back where none was recorded: the stretch is run again, which may take long and can be stopped. */
import { afterEach, describe, expect, it } from 'vitest';
import { openRecording } from '../../src/recording/reader.js';
import { rerunOf } from '../../src/session/detail.js';
import { NOTHING_OUTSIDE, type Outside } from '../../src/tui/outside.js';
import { bytes } from '../machine/engine/guest.js';
import { recorded } from '../session/guests.js';
import { imageOf } from '../systems/bare/image.js';
import { openSession, type Session } from './desk.js';
import { Screen } from './terminal.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
/** A session on a recording without detail, with what runs it again. */
async function open(file: string, seq: number, outside: Partial<Outside> = {}): Promise<Session> {
  const source = openRecording(file);
  const session = await openSession(file, { columns: 160, rows: 70 }, seq, {
    ...NOTHING_OUTSIDE,
    rerun: async () => rerunOf(source),
    ...outside,
  });
  closers.push(() => {
    session.close();
    source.close();
  });
  return session;
}
/** Counts ecx down to nothing, two instructions a round, and touches no page table meanwhile: cli; mov; dec; jnz; hlt. */
function counting(rounds: number): { file: string; seq: number } {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(rounds);
  const image = imageOf({ 1048576: bytes(`fa b9 ${count.toString('hex')} ff c9 75 fc f4`) });
  const { file } = recorded({ guest: 'counting', image });
  const source = openRecording(file);
  // The event that the counting follows: the last one before the clock moves on.
  const { ticks } = source.chunk(0);
  const seq = ticks.subarray(0, source.count).findLastIndex(t => t < rounds);
  source.close();
  return { file, seq };
}
const rcx = (s: Session): bigint =>
  BigInt(`0x${/rcx\s+([0-9a-f]{16})/.exec(s.screen().registers!.join('\n'))?.[1] ?? 'none'}`);

describe('one instruction by running again', () => {
  it('is at the same places, with the same registers, as where all was recorded', async () => {
    const [plain, full] = [recorded().file, recorded({ detail: 'full' }).file];
    const [again, known] = [await open(plain, 214), await open(full, 214)];
    for (const key of [...'}'.repeat(30), ...'{'.repeat(40), ...'}'.repeat(5)]) {
      await again.press(key);
      await known.press(key);
      expect(again.desk.ui.at).toEqual(known.desk.ui.at);
      expect(again.screen().registers).toEqual(known.screen().registers);
      expect(again.screen().events).toEqual(known.screen().events);
    }
    expect(again.desk.world.source.header.detail).toBe('mmu');
  });
  it('back from an event is the last before it, however many there are, and all between can be gone through', async () => {
    const rounds = 20_000;
    const { file, seq } = counting(rounds);
    const s = await open(file, seq + 1);
    await s.press('{');
    expect(s.desk.ui.at.seq).toBe(seq);
    const last = s.desk.ui.at.sub!;
    expect(last).toBeGreaterThan(2 * rounds); // entries: instructions, and what else happened
    expect(rcx(s)).toBe(0n);
    await s.press(...'{{{{{{'); // hlt, and five more: dec made it 2
    expect(rcx(s)).toBe(2n);
    await s.press(...'}}}}}}');
    expect(s.desk.ui.at).toEqual({ seq, sub: last });
    await s.press('}');
    expect(s.desk.ui.at).toEqual({ seq: seq + 1 });
    // Places that the first look forgot again, and the ends of what the next one kept.
    const before = last - 1 - 2 * rounds;
    for (const sub of [9_999, 10_001, 20_002, 25_000, 35_001]) {
      await s.press('g', ...`#${seq}.${sub}`, 'enter');
      for (const [key, at] of [
        ['}', sub + 1],
        ['}', sub + 2],
        ['{', sub + 1],
      ] as const) {
        await s.press(key);
        expect(s.desk.ui.at).toEqual({ seq, sub: at });
        expect(rcx(s)).toBe(BigInt(rounds - Math.ceil((at - before) / 2)));
      }
    }
  });
  it('says how far it is, hears a key at once, and stops', async () => {
    const { file, seq } = counting(20_000_000);
    const s = new Screen(['open', file, `#${seq + 1}`], 120, 40, { NO_COLOR: '1' });
    closers.push(() => s.exit ?? s.kill('SIGKILL'));
    await s.shows(`#${seq + 1} @`);
    s.keys('{');
    const share = async (): Promise<number> => {
      const lines = await s.becomes(now => /one instruction back \d+ %/.test(now.at(-1)!));
      return Number(/back (\d+) %/.exec(lines.at(-1)!)![1]);
    };
    const before = await share();
    await s.becomes(now => Number(/back (\d+) %/.exec(now.at(-1)!)?.[1] ?? 0) > before);
    s.keys('\x1b');
    await s.becomes(now => now.at(-1)!.includes('stopped'));
    expect(s.lines().at(-1)).toContain(`#${seq + 1} @`); // where it was
    s.keys('?');
    await s.shows('one instruction back');
    s.keys('?q');
    expect(await s.ended()).toBe(0);
  });
});
