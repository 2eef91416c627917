/** The story of the small kernel: what its notes say is what the views answer at their events. */
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { asFrame, asVaddr } from '../../src/base/brand.js';
import { finish } from '../../src/base/work.js';
import { openRecording } from '../../src/recording/reader.js';
import { Notes } from '../../src/tui/notes.js';
import { eventOf } from '../../src/views/at.js';
import { blameVaddr } from '../../src/views/blame.js';
import { rootAt } from '../../src/views/slots.js';
import { walk } from '../../src/views/walk.js';

const GOLDEN = fileURLToPath(new URL('../../recordings/bare/address-spaces.rewalk', import.meta.url));
const source = openRecording(GOLDEN);
afterAll(() => source.close());
const notes = Notes.of(GOLDEN, source.count);
const at = (name: string): number => notes.bookmarks(name)!.seq;
const TABLES = { space: 'guest', role: 'kernel' } as const;
const mapped = (address: bigint, seq: number, root?: number) => {
  const query = root === undefined ? TABLES : { ...TABLES, root: asFrame(root) };
  const { verdict } = finish(walk(source, asVaddr(address), seq, query));
  return verdict.kind === 'mapped' ? { frame: verdict.frame, write: verdict.permissions.write } : verdict.kind;
};
const root = (seq: number): number => finish(rootAt(source, TABLES, seq)).frame;

/** One claim for each note, by its name. */
const CLAIMS: Record<string, () => void> = {
  'own-tables': () => expect([root(at('own-tables') - 1), root(at('own-tables'))]).toEqual([1, 0x1000]),
  process: () => expect(root(at('process'))).toBe(0x1005),
  demand: () => {
    expect(eventOf(source, at('demand'))).toMatchObject({ kind: 'trap', vector: 14, error: 6, at: 0x600000n });
    expect(mapped(0x600000n, at('demand'))).toBe('stops');
  },
  'paged-in': () => {
    expect(mapped(0x600000n, at('paged-in'))).toEqual({ frame: 0x100b, write: true });
    expect(eventOf(source, at('paged-in')).cause).toBe(at('demand'));
  },
  shared: () => {
    expect(mapped(0x602000n, at('shared') - 1)).toEqual({ frame: 0x100d, write: true });
    expect(mapped(0x602000n, at('shared'))).toEqual({ frame: 0x100d, write: false });
  },
  write: () => expect(eventOf(source, at('write'))).toMatchObject({ kind: 'trap', error: 7, at: 0x602000n }),
  copy: () => {
    expect(mapped(0x602000n, at('copy'))).toEqual({ frame: 0x1018, write: true });
    const before = finish(blameVaddr(source, asVaddr(0x602000n), at('copy'), TABLES)).blame;
    expect(before?.event.seq).toBe(at('shared'));
  },
  child: () => expect(root(at('child'))).toBe(0x1013),
  'its-own': () => {
    expect(mapped(0x602000n, at('its-own'), 0x1013)).toEqual({ frame: 0x100d, write: false }); // as `copy` says
    const differ = [0x600000n, 0x601000n, 0x602000n, 0x603000n, 0x604000n, 0x605000n, 0x606000n, 0x607000n].filter(
      page =>
        JSON.stringify(mapped(page, at('its-own'), 0x1005)) !== JSON.stringify(mapped(page, at('its-own'), 0x1013)),
    );
    expect(differ).toEqual([0x602000n, 0x605000n]);
  },
};
test.for(notes.all.map(n => [n.name] as const))('the note %s says what is so', ([name]) => {
  expect(CLAIMS[name], 'every note has a claim').toBeDefined();
  CLAIMS[name]!();
});
test('there is a note for every claim', () => {
  expect(notes.all.map(n => n.name)).toEqual(Object.keys(CLAIMS));
});
