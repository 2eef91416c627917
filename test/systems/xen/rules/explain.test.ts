import { describe, expect, test } from 'vitest';
import { type MessageName, message, MESSAGES as PRINTED } from '../../../../src/systems/xen/model/mm/messages.js';
import { explain } from '../../../../src/systems/xen/rules/explain.js';
import { MESSAGES } from '../../../../src/systems/xen/rules/messages.js';

const wordsOf = (line: string, generation?: string): string[] =>
  explain(line, { generation })!.words.map(w => `${w.name}: ${w.means}`);

describe('type words are read in the layout of the generation that printed them:', () => {
  test('of 2011', () => {
    const line = '(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)';
    expect(wordsOf(line)).toEqual([
      'saw: writable memory, validated, 1 reference',
      'exp: page table, level 1, 0 references',
    ]);
    expect(explain(line)!.notes.join()).toMatch(/until Xen 4\.9$|until Xen 4\.9,the frame was to become a page table/);
  });
  test('of today, for the same failure', () => {
    const line = 'mm.c:2940:d1v0 Bad type (saw e400000000000001 != exp 2000000000000000) for mfn 1d89 (pfn cf7)';
    expect(wordsOf(line)).toEqual([
      'saw: writable memory, validated, 1 reference',
      'exp: page table, level 1, 0 references',
    ]);
    expect(explain(line)!.notes[0]).toBe('type words as laid out since Xen 4.10');
  });
  test('from another thread of 2011: a pinned-less l1 that was to be mapped writable', () => {
    const e = explain('mm.c:2142:d3 Bad type (saw 1400000000000002 != exp 7000000000000000) for mfn 4a6ce (pfn 4b32)')!;
    expect(e.words.map(w => w.means)).toEqual([
      'page table, level 1, validated, 2 references',
      'writable memory, 0 references',
    ]);
    expect(e.notes.join()).toMatch(
      /a writable mapping was asked for of a frame that is a page table \(l1\): 2 references hold it/,
    );
  });
  test('where both fit, the prefix decides and the answer says so; it can be forced', () => {
    const words = 'Bad type (saw 2400000000000001 != exp 4000000000000000) for mfn 1 (pfn 2)';
    expect(explain(`mm.c:2466:d0 ${words}`)!.words[0]!.means).toMatch(/^page table, level 2/);
    expect(explain(`mm.c:2940:d0v0 ${words}`)!.words[0]!.means).toMatch(/^page table, level 1/);
    expect(explain(`mm.c:2940:d0v0 ${words}`)!.notes[0]).toMatch(/both layouts would fit/);
    expect(wordsOf(`mm.c:2466:d0 ${words}`, '4.17')[0]).toMatch(/level 1/);
  });
  test('a word of no type in the layout that was forced is said to be none', () => {
    expect(wordsOf('Bad type (saw e400000000000001 != exp 2000000000000000) for mfn 1 (pfn 2)', '4.1')[0]).toBe(
      'saw: no type of this layout',
    );
  });
});

test('flags are those of an entry, high and low ones', () => {
  expect(wordsOf('mm.c:809:d0 Bad L1 flags 800080')).toEqual(['flags: PSE or PAT NX']);
  expect(wordsOf('d1 L1TF-vulnerable L1e 000000000180006a - Shadowing')[0]).toMatch(
    /RW PWT ACCESSED DIRTY, frame 1800/,
  );
});

/** One line as a Xen printed it (formats of stable-4.1 and stable-4.17, real threads), and the message it must be taken for. */
const LINES: readonly (readonly [line: string, id: string])[] = [
  ['mm.c:3027:d0 Error while pinning mfn b1d89', 'pin-failed'],
  ['(XEN) mm.c:3576:d1v0 Error -22 while pinning mfn 1d89', 'pin-failed'],
  [
    '(XEN) mm.c:889:d0 Error getting mfn b1d89 (pfn bacf7) from L1 entry 80000000b1d89063 for l1e_owner=0, pg_owner=0',
    'no-mfn-for-l1',
  ],
  [
    'mm.c:1040:d1v0 Error getting mfn 1d89 (pfn cf7) from L1 entry 8000000001d89063 for l1e_owner d1, pg_owner d1',
    'no-mfn-for-l1',
  ],
  ['mm.c:1014:d1v0 Could not get page type PGT_writable_page', 'no-writable-type'],
  ['mm.c:988:d0v1 pg_owner d1 l1e_owner d0, but real_pg_owner d-1', 'pg-owner'],
  ['mm.c:660:d2 Could not get page ref for pfn 123', 'no-page'],
  ['Error mfn 1234: rd=d1 od=d0 caf=8000000000000002 taf=e400000000000001', 'no-page'],
  [
    'mm.c:2218:d0 Error while validating mfn 12 (pfn 34) for type 1000000000000000: caf=8000000000000003 taf=1000000000000001',
    'validate-failed',
  ],
  ['mm.c:1260:d0 Failure in alloc_l1_table: entry 17', 'entry-failed'],
  ['mm.c:1366:d1v0 Failure -22 in promote_l1_table: slot 0x11', 'entry-failed'],
  ['mm.c:726:d0 Attempt to create linear p.t. with write perms', 'linear-table'],
  ['mm.c:690:d1v0 Attempt to create linear p.t. (feature disabled)', 'linear-table'],
  ['mm.c:1118:d4 Attempt to implicitly unmap a granted PTE c0100001e4c3f467', 'granted-pte'],
  ["mm.c:1232:d4v1 Attempt to implicitly unmap d4's grant PTE c0100001e4c3f467", 'granted-pte'],
  ['mm.c:2019:d0 Illegal L4 update attempt in Xen-private area ffff8300b1d89800', 'xen-slot'],
  ['mm.c:2389:d1v0 L4 update in Xen-private area, slot 0x100', 'xen-slot'],
  ['mm.c:3588:d1v0 mfn 1234 already pinned', 'not-pinned'],
  ['mm.c:3233:d0 Mfn 1234 not pinned', 'not-pinned'],
  ['mm.c:3632:d1v0 mfn 1234 bad, or bad owner d1', 'bad-owner'],
  ['mm.c:2910:d0 Error while installing new baseptr 1234', 'baseptr'],
  ['mm.c:3708:d1v0 Error -22 installing new mfn 1234', 'baseptr'],
  ['mm.c:2899:d1v0 Type count overflow on mfn 1234', 'type-overflow'],
  ['mm.c:827:d1 Non-privileged (1) attempt to map I/O space 000fee00', 'io-space'],
  ['mm.c:901:d1v0 d1 non-privileged attempt to map MMIO space fee00', 'io-space'],
  ['mm.c:4114:d1v0 Could not get page for normal update', 'no-page-for-update'],
  ['mm.c:3837:d1v0 Bad args to SET_LDT: ptr=123, ents=2', 'set-ldt'],
  ['traps.c:481:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]', 'unhandled-trap'],
  ['d1v0 Unhandled: vec 14, #PF[0002]', 'unhandled-trap'],
  ['traps.c:288:d1 Guest switching to user mode with no user page tables', 'no-user-tables'],
  ['d1v0 Fault while reading IRET context from guest stack', 'iret-fault'],
  ['d0:v0: unhandled page fault (ec=0003)', 'unhandled-trap'],
  ['Pagetable walk from ffff8800401ff000:', 'page-walk'],
  ['multicall.c:28:d0 Multicall reentry is disallowed.', 'multicall-reentry'],
  ['traps.c:2304:d0 Attempt to change unmodifiable CR0 flags', 'control-register'],
  ['traps.c:2595:d0 RDMSR 0x0000008b unimplemented', 'msr'],
  ['d1v0 WRMSR 0x0000008b val 0x0000000000000000 unimplemented', 'msr'],
  ['domain_crash_sync called from entry.S', 'domain-crash-sync'],
  ['domain_crash called from arch/x86/mm.c:1234', 'domain-crash'],
  ['Domain 0 (vcpu#0) crashed on cpu#0:', 'domain-crashed'],
];

test('messages of both generations are known', () => {
  for (const [line, id] of LINES) expect(explain(line)?.id, line).toBe(id);
  const covered = new Set([...LINES.map(([, id]) => id), 'bad-type', 'bad-flags', 'l1tf']);
  for (const line of printed()) covered.add(explain(line)?.id ?? '');
  expect(MESSAGES.map(m => m.id).filter(id => !covered.has(id))).toEqual([]);
});

/** Every line that the model of Xen's memory management can print, with some arguments. */
const printed = (): string[] =>
  (Object.keys(PRINTED) as MessageName[]).flatMap(name =>
    (['4.1', '4.17'] as const).flatMap(
      generation => message(generation, 0, name, [18n, 52n, 1n, 2n, 3n, 4n, 5n]) ?? [],
    ),
  );
test('whatever our own Xen prints about page tables is explained', () => {
  expect(printed().length).toBeGreaterThan(60);
  for (const line of printed()) expect(explain(line), line).toBeDefined();
});

test('other lines are no messages, and long or hostile ones cost nothing', () => {
  for (const line of [
    '',
    'Linux version 6.1.0',
    '(XEN) Brought up 2 CPUs',
    'Bad type (saw zz != exp 1) for mfn 1 (pfn 2)',
  ])
    expect(explain(line)).toBeUndefined();
  const began = performance.now();
  for (const piece of ['Bad type (saw ', 'Error ', 'Unhandled ', 'Attempt to implicitly unmap d', 'f'])
    explain(piece.repeat(4096));
  expect(performance.now() - began).toBeLessThan(1000);
});
