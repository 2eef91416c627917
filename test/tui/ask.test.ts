/** What the debugger is asked: breaks and conditions, instructions, folds, other address spaces, verbs. */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, test } from 'vitest';
import type { Event } from '../../src/events/kinds.js';
import { NOTHING_OUTSIDE, type Outside } from '../../src/tui/outside.js';
import { Search } from '../../src/tui/search.js';
import { openSession, type Session } from './desk.js';

const at = (path: string): string => fileURLToPath(new URL(`../../recordings/${path}.rewalk`, import.meta.url));
const BARE = at('bare/address-spaces');
const CRASH = at('xen/early-pagetable-crash');
let session: Session | undefined;
afterEach(() => session?.close());
const open = async (file: string, seq = -1, outside?: Outside): Promise<Session> => {
  session = await openSession(file, undefined, seq, outside);
  return session;
};
const typed = (text: string): string[] => [...text].map(c => (c === ' ' ? 'space' : c));

describe('breaks', () => {
  test.for([
    ['trap vector=14 error=7', [211, 250]],
    ['slot 100a010', [99, 102, 181, 216, 221]],
    ['frame 1018 writable', [216]],
    ['in pgd_alloc', undefined],
    ['at 602000', [94, 211]],
    ['cr2 = 602000', undefined],
  ] as const)('stop at %s, forwards and backwards alike', async ([text, expected]) => {
    const s = await open(BARE);
    await s.press('B', ...typed(text), 'enter');
    expect(s.desk.ui.breaks).toEqual([text]);
    const forwards: number[] = [];
    for (;;) {
      const before = s.desk.ui.at.seq;
      await s.press(')');
      if (s.desk.ui.at.seq === before) break;
      forwards.push(s.desk.ui.at.seq);
    }
    expect(s.desk.ui.message?.text).toBe('no break is met up to the end');
    if (expected) for (const seq of expected) expect(forwards).toContain(seq);
    expect(forwards.length).toBeGreaterThan(0);
    const backwards: number[] = [];
    await s.press('>');
    for (;;) {
      const before = s.desk.ui.at.seq;
      await s.press('(');
      if (s.desk.ui.at.seq === before) break;
      backwards.push(s.desk.ui.at.seq);
    }
    expect(backwards.reverse()).toEqual(forwards);
    expect(s.desk.ui.message?.text).toBe('no break is met back to the start');
  });
  test.for([
    ['nothing at all', /nothing is no kind of event/],
    ['rzx = 5', /no register is called rzx/],
    ['in pgd_al', /no function is called pgd_al; there is pgd_alloc/],
    ['frame 1 nonsense', /no type of frame is called nonsense/],
  ] as const)('that mean nothing say so: %s', async ([text, why]) => {
    const s = await open(BARE);
    await s.press('B', ...typed(text), 'enter');
    expect(s.desk.ui.breaks).toEqual([]);
    expect(s.desk.ui.message).toMatchObject({ tone: 'warning', text: expect.stringMatching(why) });
  });
  it('are listed, and taken away by enter or by setting them again', async () => {
    const s = await open(BARE);
    await s.press('B', ...'root', 'enter', 'B', ...'pte', 'enter', 'D');
    expect(s.screen().detail).toEqual(['■ root', '■ pte']);
    await s.press('5', 'enter');
    expect(s.desk.ui.breaks).toEqual(['pte']);
    await s.press('B', ...'pte', 'enter', 'B', 'up', 'up');
    expect(s.desk.ui.prompt?.text).toBe('root'); // what was typed before comes back
  });
});

describe('one instruction', () => {
  it('goes through the recorded detail and back the same way, with the registers of each', async () => {
    const s = await open(BARE, 214);
    await s.press('3');
    const screens = [s.screen().registers];
    const places = [s.desk.ui.at];
    for (let n = 0; n < 40; n++) {
      await s.press('}');
      screens.push(s.screen().registers);
      places.push(s.desk.ui.at);
    }
    expect(places[1]).toEqual({ seq: 214, sub: expect.any(Number) });
    expect(new Set(places.map(p => JSON.stringify(p))).size).toBe(41);
    for (let n = 39; n >= 0; n--) {
      await s.press('{');
      expect(s.desk.ui.at).toEqual(places[n]);
      expect(s.screen().registers).toEqual(screens[n]);
    }
  });
  it('says why where instructions were not recorded and nothing can be run again', async () => {
    const s = await open(BARE, 211);
    Object.defineProperty(s.desk.world.source, 'header', { value: { ...s.desk.world.source.header, detail: 'mmu' } });
    s.desk.world.source.details = () => [];
    await s.press('}');
    expect(s.desk.ui.message?.text).toMatch(/not recorded, and nothing can be run again: not available here/);
    expect(s.desk.ui.at).toEqual({ seq: 212 });
  });
});

describe('folds', () => {
  it('hide what happened inside an event, and steps go over it', async () => {
    const s = await open(BARE, 216);
    await s.press('space'); // inside the fault of 211
    expect(s.desk.ui.at.seq).toBe(211);
    await s.press('j');
    expect(s.desk.world.event(s.desk.ui.at.seq).cause).not.toBe(211);
    expect(s.desk.ui.at.seq).toBe(221);
    await s.press('k', 'space', 'j');
    expect(s.desk.ui.at.seq).toBe(212);
  });
  it('of everything leave only what happened inside nothing', async () => {
    const s = await open(BARE, 216);
    await s.press('F');
    const { events } = s.screen();
    const shown = events!
      .map(l => /^[^\d]*(\d+)/.exec(l)?.[1])
      .filter(Boolean)
      .map(Number);
    expect(shown.length).toBeGreaterThan(10);
    for (const seq of shown) expect(s.desk.world.event(seq).cause).toBe(-1);
    await s.press('F');
    expect(s.desk.ui.folded).toBe(false);
  });
  it('J, K and U go over and out whether anything is folded or not', async () => {
    const s = await open(BARE, 211);
    await s.press('J');
    expect(s.desk.ui.at.seq).toBe(221);
    await s.press('escape', 'i', 'U');
    expect(s.desk.ui.at.seq).toBe(221);
    await s.press('K');
    expect(s.desk.world.event(s.desk.ui.at.seq).cause).toBe(-1);
    expect(s.desk.ui.at.seq).toBe(211);
  });
});

describe('address spaces', () => {
  it('of two processes at one moment stand beside each other', async () => {
    const s = await open(BARE, 260);
    await s.press(':', ...typed('root 1005'), 'enter', 'd', ':', ...typed('root 1013'), 'enter');
    const lines = s.screen().space!.filter(l => /^[+~-]/.test(l));
    expect(lines.some(l => /^~ 0000000000602000/.test(l))).toBe(true);
    expect(lines.some(l => /^~ 0000000000605000/.test(l))).toBe(true);
    expect(s.desk.ui.shell).toMatch(/^rewalk map .* '#260' --diff '#260' --root 1005 --diff-root 1013$/);
  });
  it('open a range into its pages, with who wrote each entry', async () => {
    const s = await open(BARE, 216);
    await s.press('4');
    const line = s.desk
      .linesOf('space')
      .slice()
      .findIndex(l => l.spans[0]!.text.startsWith('0000000000602000'));
    await s.press(...Array.from({ length: line }, () => 'j'), 'enter');
    expect(s.screen().space!.join('\n')).toMatch(/ {2}0000000000602000 frame 1018 {2}entry 100a010 #216/);
  });
  it('of user space are there in Xen', async () => {
    const s = await open(at('xen/user-pagetables'));
    await s.press('>', 'R');
    expect(s.desk.ui.view.role).toBe('user');
  });
});

describe('verbs', () => {
  it('get the file and the position, and their answer stays while one moves on', async () => {
    const asked: (readonly string[])[] = [];
    const s = await open(BARE, 216, {
      ...NOTHING_OUTSIDE,
      verbs: [{ name: 'walk', summary: 'walks' }],
      complete: async (words, file, position) => [...words, file, position],
      run: async command => {
        asked.push(command);
        return { code: 0, lines: ['an answer about #181', 'second'] };
      },
    });
    await s.press(':', ...typed('wk 602000'), 'enter');
    expect(asked).toEqual([['walk', '602000', BARE, '#216']]);
    expect(s.desk.ui.shell).toBe(`rewalk walk 602000 ${BARE} '#216'`);
    await s.press('j');
    expect(s.screen().detail!.slice(1)).toEqual(['an answer about #181', 'second']);
    await s.press('5', 'j', 'enter');
    expect(s.desk.ui.at.seq).toBe(181);
  });
  it('that take long are stopped by Esc', async () => {
    let stopped = false;
    const s = await open(BARE, 216, {
      ...NOTHING_OUTSIDE,
      verbs: [{ name: 'walk', summary: 'walks' }],
      run: (_, { signal }) =>
        new Promise(() => {
          signal?.addEventListener('abort', () => {
            stopped = true;
          });
        }),
    });
    for (const key of [':', ...'walk', 'enter']) s.desk.press(key);
    while (!s.desk.progress) await new Promise(resolve => setTimeout(resolve, 20));
    await s.press('escape');
    expect(stopped).toBe(true);
    expect(s.desk.ui.message?.text).toBe('stopped');
  });
  it('that take long do not keep the screen from changing its size', async () => {
    let answer = (): void => {};
    const s = await open(BARE, 216, {
      ...NOTHING_OUTSIDE,
      verbs: [{ name: 'walk', summary: 'walks' }],
      run: () =>
        new Promise(resolve => {
          answer = () => resolve({ code: 0, lines: ['done'] });
        }),
    });
    for (const key of [':', ...'walk', 'enter']) s.desk.press(key);
    while (!s.desk.progress) await new Promise(resolve => setTimeout(resolve, 20));
    s.desk.resize({ columns: 90, rows: 30 });
    answer();
    await s.press();
    expect(s.desk.ui.size).toEqual({ columns: 90, rows: 30 });
    expect(s.screen().detail).toContain('done');
  });
  it('why, where nothing was refused, is asked of the end of the run', async () => {
    const positions: string[] = [];
    const s = await open(CRASH, 100, {
      ...NOTHING_OUTSIDE,
      complete: async (words, _, position) => {
        positions.push(position);
        return words;
      },
      run: async () => ({ code: positions.length === 1 ? 1 : 0, lines: ['because'] }),
    });
    await s.press('w');
    expect(positions).toEqual(['#100', 'start']);
    expect(s.screen().detail).toContain('because');
  });
  it('y copies the position, or the table of the pane, and says so', async () => {
    const copies: string[] = [];
    const copy = (text: string): boolean => copies.push(text) > 0;
    const s = await open(BARE, 216, { ...NOTHING_OUTSIDE, copy });
    await s.press('y', '4', 'y', 'Y');
    expect(copies[0]).toMatch(/^#216 @172066 pte /);
    expect(copies[1]).toMatch(/^root 1005 .*\n/);
    expect(copies[2]).toMatch(/^rewalk show /);
    expect(s.desk.ui.message?.text).toMatch(/^copied /);
  });
});

describe('a search', () => {
  const found = async (s: Session, text: string): Promise<{ seq: number; said: string | undefined }> => {
    await s.press('<', '/', ...typed(text), 'enter');
    return { seq: s.desk.ui.at.seq, said: s.desk.ui.message?.text };
  };
  it('finds what is in the line of an event, without its number and time', async () => {
    const s = await open(BARE);
    const { seq, said } = await found(s, 'vector=14');
    expect(s.desk.world.event(seq)).toMatchObject({ kind: 'trap', vector: 14 });
    expect(said).toBeUndefined();
    expect((await found(s, '@172066')).said).toMatch(/^no later event, function or output with "@172066"/);
  });
  it('finds functions by their names, in what was called from them, and goes on both ways', async () => {
    const s = await open(CRASH);
    const { seq, said } = await found(s, 'PHYS_PUD');
    expect(said).toBe('"PHYS_PUD" in phys_pud_init');
    expect(s.desk.world.source.symbols.some(f => f.name === 'phys_pud_init')).toBe(true);
    const places = [seq];
    for (let n = 0; n < 5; n++) {
      await s.press('*');
      places.push(s.desk.ui.at.seq);
    }
    expect(new Set(places).size).toBe(6);
    for (const place of places.slice(0, -1).reverse()) {
      await s.press('#');
      expect(s.desk.ui.at.seq).toBe(place);
    }
  });
  it('finds what was printed, also where it was printed in pieces', async () => {
    const s = await open(BARE);
    const { seq, said } = await found(s, 'loading cr3 00');
    expect(said).toBe('"loading cr3 00" printed here');
    expect(s.desk.world.event(seq).kind).toBe('console');
    // The same text, a few letters an event.
    const pieces = ['kernel: lo', 'ading c', 'r3 0000\n', 'next'];
    const real = s.desk.world.event.bind(s.desk.world);
    const seqs = [50, 60, 70, 80];
    const console = (n: number): Event =>
      ({ ...real(seqs[n]!), kind: 'console', from: 'guest', text: pieces[n] }) as never;
    s.desk.world.event = at => (seqs.includes(at) ? console(seqs.indexOf(at)) : real(at));
    const search = new Search(s.desk.world, 'Loading CR3');
    const before = (at: number): number => seqs.filter(q => q < at).at(-1) ?? -1;
    Object.defineProperty(search, 'pieceBefore', { value: before });
    expect(seqs.map((_, n) => search.found(console(n)))).toEqual([undefined, undefined, 'printed here', undefined]);
    expect(new Search(s.desk.world, 'r3 0000').found(console(3))).toBeUndefined();
  });
});
