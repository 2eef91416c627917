/** 4-byte entries, recorded detail: what x86-64 and whole events do not show. */
import { expect, it } from 'vitest';
import { asFrame, asVaddr } from '../../src/base/brand.js';
import { finish } from '../../src/base/work.js';
import { BLOCK_BYTES, blockOver } from '../../src/events/block.js';
import type { Draft } from '../../src/events/kinds.js';
import { EMPTY_LEXICON } from '../../src/events/lexicon.js';
import { Log } from '../../src/events/log.js';
import { formatOf } from '../../src/state/formats.js';
import { Timeline } from '../../src/state/timeline.js';
import { registersAt } from '../../src/views/registers.js';
import { spaceMap } from '../../src/views/spaces.js';
import { walk } from '../../src/views/walk.js';
import { recordingOf } from '../state/memory-source.js';

const head = { ticks: 1, vcpu: 0, cause: -1 };
const wide = (slots: Record<number, bigint>) => Array.from({ length: 1024 }, (_, i) => slots[i] ?? 0n);
const table = { ...head, kind: 'adopt', space: 'guest', offset: 0, bytes: 4, format: 0 };
const pte = { ...head, kind: 'pte', space: 'guest', level: 1, bytes: 4, path: 0, stack: 0 };
/** Directory 1 names table 2 for its last 4 MiB; pages 1022 and 1023 of it are written one after the other. */
const drafts = [
  { ...table, table: 1, level: 2, entries: wide({ 1023: 0x2067n }) },
  { ...table, table: 2, level: 1, entries: wide({ 1022: 0x5067n, 1023: 0x6067n }) },
  { ...head, kind: 'regs', mask: 1n, values: [7n], olds: [] },
  { ...pte, table: 2, offset: 1022 * 4, old: 0x5067n, new: 0x8065n },
  { ...head, kind: 'console', from: 'guest', text: 'x' },
] as unknown as Draft[];
const options = {
  header: { isa: 'i386' },
  lexicon: { ...EMPTY_LEXICON, paging: { guest: 'i386-2level' } },
  chunkEvents: 2,
  keyframeChunks: 1,
};
class Jumpy extends Timeline {
  protected override readonly sparseWorth = 1;
}

it('keeps neighbours of a 4-byte entry, folding or laying keyframes over each other', () => {
  const source = recordingOf(drafts, options);
  const format = formatOf(source, 'guest')!;
  for (const timeline of [new Timeline(source), new Jumpy(source)]) {
    const map = finish(spaceMap(timeline.seekNow(4), 'guest', format, asFrame(1), source.lexicon));
    expect(map.ranges.map(r => [r.from, r.bytes, r.frame, r.permissions.write])).toEqual([
      [0xffff_e000n, 4096n, 8, false],
      [0xffff_f000n, 4096n, 6, true],
    ]);
  }
});

it('walks two levels of 4-byte entries to the byte', () => {
  const source = recordingOf(drafts, options);
  const at = (seq: number) => finish(walk(source, asVaddr(0xffff_e123n), seq, { space: 'guest', root: asFrame(1) }));
  expect(at(2).verdict).toMatchObject({ kind: 'mapped', paddr: 0x5123, bytes: 4096 });
  expect(at(3).verdict).toMatchObject({ kind: 'mapped', paddr: 0x8123 });
  expect(at(3).steps.map(s => s.writer)).toEqual([0, 3]);
});

it('lays recorded steps over the registers at a detail entry', () => {
  const anchor = { before: 3 };
  const detail = new Log({ swap: b => b }, blockOver(new ArrayBuffer(BLOCK_BYTES)), anchor);
  const step = (value: bigint) => ({ ...head, kind: 'step', mask: 1n, values: [value], olds: [] }) as unknown as Draft;
  detail.put(step(8n));
  detail.put(step(9n));
  anchor.before = 4;
  detail.put(step(10n));
  const source = recordingOf(drafts, { ...options, details: [detail.current] });
  const first = (seq: number, sub?: number) =>
    registersAt(source, sub === undefined ? { seq } : { seq, sub }).map(r => [r.value, r.asOf, r.sub]);
  expect(first(2)).toEqual([[7n, 2, undefined]]);
  expect(first(2, 1)).toEqual([[8n, 2, 1]]);
  expect(first(2, 2)).toEqual([[9n, 2, 2]]);
  expect(first(3, 1)).toEqual([[10n, 3, 1]]);
});
