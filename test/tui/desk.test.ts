import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, test } from 'vitest';
import { BINDINGS, bindingOf, bindingsOf } from '../../src/tui/keys.js';
import { PANES } from '../../src/tui/state.js';
import { openSession, random, SEED, type Session } from './desk.js';

const GOLDEN = fileURLToPath(new URL('../../recordings/bare/address-spaces.rewalk', import.meta.url));
const CRASH = fileURLToPath(new URL('../../recordings/xen/early-pagetable-crash.rewalk', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rewalk-tui-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let session: Session | undefined;
afterEach(() => session?.close());
const open = async (at = -1, size?: { columns: number; rows: number }): Promise<Session> => {
  session = await openSession(GOLDEN, size, at);
  return session;
};
describe('moving', () => {
  it('goes by events, calls of the machine, and what happened inside what', async () => {
    const s = await open(216);
    const at = async (...keys: string[]) => {
      await s.press(...keys);
      return s.desk.ui.at.seq;
    };
    expect(await at('j')).toBe(217);
    expect(await at('k', 'k')).toBe(215);
    expect(await at('j', 'u')).toBe(211); // the store happened inside the fault
    expect(await at('i')).toBe(212);
    expect(await at('T')).toBe(211);
    expect(await at('t')).toBe(223);
    expect(await at('escape')).toBe(211);
    expect(await at('escape')).toBe(212);
    expect(await at('tab')).toBe(211);
    expect(await at('>')).toBe(279);
    expect(await at('<')).toBe(-1);
  });
  it('stops politely at both ends of history', async () => {
    const s = await open(-1);
    await s.press('k');
    expect(s.desk.ui).toMatchObject({ at: { seq: -1 }, message: { text: 'the beginning of the recording' } });
    await s.press('>', 'j');
    expect(s.desk.ui).toMatchObject({ at: { seq: 279 }, message: { text: 'the end of the recording' } });
  });
  it('goes through the writes of an entry, further back with each b, and forwards', async () => {
    const s = await open(216);
    await s.press('b');
    expect(s.desk.ui.at.seq).toBe(181);
    await s.press('b');
    const first = s.desk.ui.at.seq;
    expect(first).toBeLessThan(181);
    await s.press(']');
    expect(s.desk.ui.at.seq).toBe(181);
    await s.press(']');
    expect(s.desk.ui.at.seq).toBe(216);
  });
  it('goes to positions as people write them, and says what is none', async () => {
    const s = await open();
    await s.press('g', ...'50%', 'enter');
    expect(s.desk.ui.at.seq).toBe(139);
    await s.press('g', ...'#9999', 'enter');
    expect(s.desk.ui.at.seq).toBe(139);
    expect(s.desk.ui.message).toMatchObject({
      tone: 'warning',
      text: expect.stringMatching(/out of range.*#0 to #279/),
    });
    await s.press(':', ...'goto end', 'enter');
    expect(s.desk.ui.at.seq).toBe(279);
  });
  it('shows only what the filter lets through, and steps by it', async () => {
    const s = await open(216);
    await s.press('&', ...'root !store', 'enter', '<', 'j', 'j');
    const { events } = s.screen();
    expect(events!.slice(1).every(l => l.includes('root'))).toBe(true);
    expect(s.desk.world.event(s.desk.ui.at.seq).kind).toBe('root');
    await s.press('/', ...'console', 'enter');
    expect(s.desk.world.event(s.desk.ui.at.seq).kind).toBe('console');
  });
});

describe('asking', () => {
  it('compares the address space with a marked moment', async () => {
    const s = await open(200);
    await s.press('d', 'g', ...'#216', 'enter');
    const { space } = s.screen();
    expect(space!.some(l => /^~ 0000000000602000 .*ro USER x 100d → RW USER x 1018 {2}#216/.test(l))).toBe(true);
    expect(s.desk.ui.shell).toMatch(/^rewalk map .* '#200' --diff '#216'$/);
  });
  it('shows each topic of what is selected', async () => {
    const s = await open(216);
    const topic = async (key: string) => {
      await s.press(key);
      return s.screen().detail!.join('\n');
    };
    expect(await topic('e')).toMatch(/one page-table entry changed[\s\S]*inside #211[\s\S]*trap\+e1/);
    expect(await topic('f')).toMatch(/frame 1018/);
    expect(await topic('r')).toMatch(/mapped by 3 entries: frame 1018[\s\S]*L1 slot 100a010/);
    expect(await topic('a')).toMatch(/trap[\s\S]*mov/);
    expect(await topic('s')).toMatch(/ 0 00000000001002cf trap\+e1/);
    expect(await topic('v')).toMatch(/kernel: building page tables/);
    expect(await topic('p')).toMatch(/walk of 00000000001002cf/);
  });
  it('selects a register by its line, and goes to its writes', async () => {
    const s = await open(216);
    await s.press('3', 'j', 'enter');
    expect(s.desk.ui.thing).toMatchObject({ kind: 'register' });
    await s.press('[');
    expect(s.desk.world.event(s.desk.ui.at.seq).kind).toBe('regs');
  });
});

describe('notes', () => {
  it('are kept beside the recording, name positions, and are a tour', async () => {
    const file = join(folder, 'notes.rewalk');
    copyFileSync(GOLDEN, file);
    const s = (session = await openSession(file, undefined, 216));
    await s.press('m', ...'copy the page is copied here', 'enter', 'g', ...'#50', 'enter', 'm', ...'early', 'enter');
    expect(JSON.parse(readFileSync(`${file}.notes.json`, 'utf8'))).toEqual({
      v: 1,
      notes: [
        { seq: 50, name: 'early', text: '' },
        { seq: 216, name: 'copy', text: 'the page is copied here' },
      ],
    });
    expect(existsSync(`${file}.notes.json.new`)).toBe(false);
    await s.press('<', 'n', 'n');
    expect(s.desk.ui.at.seq).toBe(216);
    expect(s.screen().detail![0]).toBe('● the page is copied here');
    await s.press('N', 'g', ..."'copy", 'enter');
    expect(s.desk.ui.at.seq).toBe(216);
  });
  test.for([
    ['{', 'no JSON'],
    ['{"v":2}', 'notes of version 2'],
    ['{"v":1,"notes":[{"seq":1}]}', 'note 0 lacks'],
    ['{"v":1,"notes":[{"seq":999,"name":"a","text":""}]}', 'note 0 is about event #999, the recording ends at #279'],
  ])('that are none are refused by name and place: %s', async ([text, why]) => {
    const file = join(folder, 'bad.rewalk');
    copyFileSync(GOLDEN, file);
    writeFileSync(`${file}.notes.json`, text!);
    await expect(openSession(file)).rejects.toThrow(`${file}.notes.json: ${why}`);
    rmSync(`${file}.notes.json`);
  });
});

describe('keys', () => {
  it('each does one thing in each pane, and every one is in the help of a pane', () => {
    const listed = new Set(PANES.flatMap(pane => bindingsOf(pane)));
    expect(BINDINGS.filter(b => !listed.has(b))).toEqual([]);
    expect(BINDINGS.filter(b => b.does === '' || b.keys.length === 0)).toEqual([]);
    for (const pane of PANES) expect(bindingOf('q', pane)?.does).toBe('quit');
  });
  it('in any order never throw, and leave a screen that the same position has anyhow', {
    timeout: 240_000,
  }, async () => {
    const file = join(folder, 'random.rewalk'); // bookmarks are kept beside it
    copyFileSync(GOLDEN, file);
    const s = (session = await openSession(file, undefined, 100));
    const keys = [...new Set(BINDINGS.flatMap(b => b.keys))].filter(k => k !== 'q' && k !== 'C-c');
    const typed = [...'#@%1234567890 abc', 'enter', 'escape', 'backspace', 'tab'];
    const dice = random(SEED);
    for (let n = 0; n < 10_000; n++) {
      const from = s.desk.ui.prompt ? typed : keys;
      s.desk.press(from[dice.next().value % from.length]!);
      if (n % 50 === 0) await s.press();
    }
    await s.press('escape', 'escape');
    expect(s.desk.ui.at.seq, `seed ${SEED}`).toBeGreaterThanOrEqual(-1);
    const { at } = s.desk.ui;
    if (at.seq < 0 || at.sub !== undefined) return;
    const fresh = await openSession(GOLDEN, undefined, at.seq);
    await s.press('1', ...(s.desk.ui.zoomed ? ['z'] : []), ...(s.desk.ui.help ? ['?'] : []));
    expect(s.screen().registers, `seed ${SEED}`).toEqual(fresh.screen().registers);
    fresh.close();
  });
  it('forwards n and backwards n show the same screen, ten thousand keys long', { timeout: 240_000 }, async () => {
    const dice = random(SEED);
    const roll = (n: number): number => dice.next().value % n;
    const topics = [...'epfrxasv'];
    let pressed = 0;
    for (const file of [GOLDEN, CRASH]) {
      const s = await openSession(file, undefined, 0);
      for (const half = pressed + 5000; pressed < half; ) {
        const n = 1 + roll(150);
        const seq = roll(s.desk.world.last - n);
        const setting = [topics[roll(topics.length)]!, String(1 + roll(5)), ...(roll(4) === 0 ? ['z'] : [])];
        await s.press('g', ...`#${seq}`, 'enter', ...setting);
        const before = s.screen();
        const [on, back] = s.desk.ui.focus === 'events' || s.desk.ui.focus === 'timeline' ? ['j', 'k'] : ['l', 'h'];
        await s.press(...Array.from({ length: n }, () => on!));
        expect(s.desk.ui.at.seq).toBe(seq + n);
        await s.press(...Array.from({ length: n }, () => back!));
        expect(s.screen(), `seed ${SEED}, ${n} from #${seq} and back`).toEqual(before);
        pressed += 2 * n;
      }
      s.close();
    }
    expect(pressed).toBeGreaterThanOrEqual(10_000);
  });
});
