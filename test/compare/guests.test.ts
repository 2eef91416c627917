/** Real runs beside each other: the same with other frames, good and bad ones, and one with a damaged memory of itself. */
import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { finish } from '../../src/base/work.js';
import { GUESTS, imageOf, recordingOf } from '../../src/cli/built-in.js';
import { compareRecordings } from '../../src/compare/recordings.js';
import { NOTHING_IGNORED } from '../../src/compare/side.js';
import type { Block } from '../../src/events/block.js';
import { KIND } from '../../src/events/kinds.js';
import { openRecording } from '../../src/recording/reader.js';
import { diffReport } from '../../src/report/diff.js';
import type { Finding } from '../../src/report/model.js';
import { verifyByRerun } from '../../src/session/verify.js';
import type { MachineLayout } from '../../src/systems/xen/model/layout.js';
import { eventsIn, freshFile, recorded } from '../session/guests.js';
import { inOrder, mirrored } from './mirror.js';

/** The domain's frames the other way round: every guest frame but the middle one has another machine frame. */
vi.mock('../../src/systems/xen/model/layout.js', async original => {
  const real = await original<typeof import('../../src/systems/xen/model/layout.js')>();
  return {
    ...real,
    arrange: (layout: MachineLayout): Uint32Array =>
      real.arrange(layout).map(mfn => 2 * layout.domain + layout.domainFrames - 1 - mfn),
  };
});

const xen = GUESTS.filter(g => g.name.startsWith('xen/'));
const opened = (name: string) => openRecording(recordingOf(GUESTS.find(g => g.name === name)!));
const NONE = { context: 3, ignored: NOTHING_IGNORED };

it.for(xen)('$name with every frame at another place is the same run', guest => {
  const out = freshFile();
  const [system, name] = guest.name.split('/') as [string, string];
  recorded({
    system,
    guest: name,
    image: readFileSync(imageOf(guest)),
    detail: 'mmu',
    out,
    memoryBytes: guest.memoryBytes,
  });
  const [a, b] = [openRecording(recordingOf(guest)), openRecording(out)];
  expect(a.chain).not.toBe(b.chain);
  const found = finish(compareRecordings(a, b));
  expect(finish(diffReport(a, b, found, NONE)).findings).toEqual([]);
  expect(found.renamed).toBe(true);
});

it.for(GUESTS)('$name does not differ from itself', guest => {
  const source = openRecording(recordingOf(guest));
  expect(finish(compareRecordings(source, openRecording(recordingOf(guest)))).differences).toEqual([]);
});

const PAIRS = [
  ['xen/user-pagetables', 'xen/user-pagetables-broken'],
  ['xen/early-pagetable-reverted', 'xen/early-pagetable-crash'],
  ['xen/early-pagetable-workaround', 'xen/early-pagetable-reuse'],
  ['xen/early-pagetable-reuse', 'xen/early-pagetable-crash'],
] as const;
it.for(PAIRS)('%s and %s give the mirror image when they are swapped, and so does the report', ([x, y]) => {
  const [a, b] = [opened(x), opened(y)];
  const [there, back] = [finish(compareRecordings(a, b)), finish(compareRecordings(b, a))];
  expect(there.differences.length).toBeGreaterThan(0);
  expect(inOrder(back.differences.map(mirrored))).toEqual(inOrder(there.differences));
  const [front, behind] = [finish(diffReport(a, b, there, NONE)), finish(diffReport(b, a, back, NONE))];
  const turn = (text: string): string => {
    const [, field, told] = /^(.*?): (.*)$/.exec(text)!;
    const items = told!.startsWith('[') ? told!.split(', ') : [told!];
    return `${field}: ${items.map(t => t.replace(/^(\[\d+\] )?(.*) -> (.*?)( and \d+ more)?$/, '$1$3 -> $2$4')).join(', ')}`;
  };
  const signs = (f: Finding, minus: string, plus: string): string[] => [
    ...f.lines.filter(l => l.sign === minus).map(l => `- ${l.text}`),
    ...f.lines.filter(l => l.sign === plus).map(l => `+ ${l.text}`),
    ...f.lines.filter(l => l.sign === '~').map(l => (minus === '-' ? l.text : turn(l.text))),
  ];
  expect(behind.findings.map(f => signs(f, '+', '-')).sort()).toEqual(
    front.findings.map(f => signs(f, '-', '+')).sort(),
  );
  const told = (f: Finding): string[] =>
    f.sections.map(s => `${s.title}\n${s.lines.map(l => l.text).join('\n')}`).sort();
  const swap = (t: string): string => t.replace(/^[AB]:/, side => (side === 'A:' ? 'B:' : 'A:'));
  expect(told(behind.findings[0]!).map(swap).sort()).toEqual(told(front.findings[0]!));
  const rows = (r: typeof front, way: 1 | -1): string[] =>
    r.totals.map(t => `${t.name} ${way > 0 ? t.values.join() : [...t.values].reverse().join()}`).sort();
  expect(rows(behind, -1)).toEqual(rows(front, 1));
});

it('a chunk says the same whether its columns are decoded or those of another recording that are stored alike', () => {
  const [a, alone, beside] = ['', '-broken', '-broken'].map(end => opened(`xen/user-pagetables${end}`));
  for (let n = 0; n < Math.min(a!.chunks.length, beside!.chunks.length); n++) {
    const [x, y] = [alone!.chunk(n), beside!.chunk(n, a!.chunk(n))];
    expect(eventsIn(y)).toEqual(eventsIn(x));
  }
  const like = opened('xen/user-pagetables').chunk(0, a!.chunk(0));
  expect(like.col.pte).toBe(a!.chunk(0).col.pte);
});

it('the forgotten user half is the first difference of the two user-pagetables', () => {
  const [a, b] = [opened('xen/user-pagetables'), opened('xen/user-pagetables-broken')];
  const report = finish(diffReport(a, b, finish(compareRecordings(a, b)), NONE));
  const [first, ...rest] = report.findings;
  expect(first!.where).toMatch(/set_pgd/);
  expect(first!.lines.find(l => l.sign === '~')!.text).toBe('args: [1] 2 -> 1');
  // The second update, of the user L4, is what the broken one leaves out: the next thing that writes a table.
  const left = rest.find(f => f.lines.some(l => l.sign !== ' ' && / pte /.test(l.text)))!;
  expect(left.rule).toBe('missing');
  expect(left.where).toMatch(/set_pgd/);
  expect(left.lines.find(l => / pte /.test(l.text))!.text).toMatch(/level=4 .*path=update/);
  const last = report.findings
    .at(-1)!
    .lines.filter(l => l.sign !== ' ')
    .map(l => l.text);
  expect(last.some(l => /end how=panic/.test(l))).toBe(true);
  expect(first!.sections.map(s => s.title)).toEqual(
    expect.arrayContaining(['A: call stack', 'B: call stack', 'A: registers', 'B: registers']),
  );
});

it('the writable mapping of the last table is the first difference of the early page tables that crash', () => {
  const [a, b] = [opened('xen/early-pagetable-reuse'), opened('xen/early-pagetable-crash')];
  const [first] = finish(diffReport(a, b, finish(compareRecordings(a, b)), NONE)).findings;
  expect(first!.where).toMatch(/pin_pagetable_pfn/);
  expect(first!.lines.find(l => l.sign === '~')!.text).toMatch(/\[508\] \w+065 -> \w+067/);
});

it('a recording is what the machine does again, and a value that is not is told by its field', () => {
  const source = opened('bare/address-spaces');
  expect(finish(verifyByRerun(source)).divergence).toBeUndefined();
  const real = source.chunk.bind(source);
  let changed = -1;
  source.chunk = (n: number): Block => {
    const block = real(n);
    if (changed >= 0) return block;
    const i = block.kind.subarray(source.checkpoints[0]!.seq).indexOf(KIND.pte) + source.checkpoints[0]!.seq;
    changed = block.first + i;
    block.col.pte.newLo[block.row[i]!]! ^= 2;
    return block;
  };
  const { divergence } = finish(verifyByRerun(source));
  expect(divergence).toMatchObject({ seq: changed, field: 'new' });
  expect((divergence!.expected as bigint) ^ (divergence!.actual as bigint)).toBe(2n);
});
