/** What a line of Xen's log means: finds the message, takes its words apart in the layout of the right generation. */

import { parseHex } from '../../../base/u64.js';
import type { ExplainOptions, Explanation, Word } from '../../../rules/system.js';
import { bareType, decodeTypeWord, type TypeWord, type WordLayout } from '../typeword.js';
import { MESSAGES } from './messages.js';

/** Layouts by the names people may give. */
export const GENERATIONS: Readonly<Record<string, WordLayout>> = { '4.1': '4.1', '4.10': '4.17', '4.17': '4.17' };
const LAYOUTS: readonly WordLayout[] = ['4.1', '4.17'];
const CALLED: Readonly<Record<WordLayout, string>> = { '4.1': 'until Xen 4.9', '4.17': 'since Xen 4.10' };

const MEANING = {
  none: 'no type',
  l1: 'page table, level 1',
  l2: 'page table, level 2',
  l3: 'page table, level 3',
  l4: 'page table, level 4',
  seg_desc: 'descriptor table (GDT or LDT)',
  shared: 'shared, read-only (memory sharing)',
  writable: 'writable memory',
} as const;
const BITS = [
  ['pinned', 'pinned'],
  ['validated', 'validated'],
  ['partial', 'partially validated'],
  ['locked', 'locked'],
  ['paeXenL2', 'holds Xen’s part of a PAE L2'],
  ['nonCoherent', 'mapped non-coherently'],
] as const;

/** A type word in words: "writable memory, validated, 1 reference". */
export function typeWordText(w: TypeWord): string {
  const bits = BITS.filter(([bit]) => w[bit]).map(([, text]) => text);
  return [MEANING[w.type], ...bits, `${w.count} reference${w.count === 1n ? '' : 's'}`].join(', ');
}

/** How well a layout fits: `exp` is a bare type, the two differ, and a lock is held for moments only. */
function fit(layout: WordLayout, saw: bigint | undefined, exp: bigint | undefined): number {
  const words = [saw, exp].filter(w => w !== undefined).map(w => decodeTypeWord(layout, w));
  if (words.some(w => w === undefined)) return -1;
  const [s, e] = [saw, exp].map(w => (w === undefined ? undefined : decodeTypeWord(layout, w)));
  let points = 0;
  if (e && bareType(layout, e.type) === exp && e.type !== 'none') points += 4;
  if (s && e && s.type !== e.type) points += 2;
  if (s && !s.locked) points += 1;
  return points;
}
/** The layout that fits; where both do, the form of the prefix decides: dNvN came before the layout changed, dN is older. */
export function layoutOf(
  line: string,
  saw: bigint | undefined,
  exp: bigint | undefined,
): { layout: WordLayout; sure: boolean } {
  const [old, now] = LAYOUTS.map(layout => fit(layout, saw, exp));
  if (old !== now) return { layout: old! > now! ? '4.1' : '4.17', sure: true };
  return { layout: /:d\d+ /.test(line) ? '4.1' : '4.17', sure: false };
}

/* Flags as Xen prints them: bits 11..0 of an entry, and bits 63..52 as 23..12 (asm/x86_64/page.h, get_pte_flags). */
const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [0, 'PRESENT'],
  [1, 'RW'],
  [2, 'USER'],
  [3, 'PWT'],
  [4, 'PCD'],
  [5, 'ACCESSED'],
  [6, 'DIRTY'],
  [7, 'PSE or PAT'],
  [8, 'GLOBAL'],
  [9, 'AVAIL0'],
  [10, 'AVAIL1'],
  [11, 'AVAIL2'],
  [12, 'GUEST_KERNEL'],
  [23, 'NX'],
];
function flagsText(flags: bigint): string {
  const names = FLAGS.filter(([bit]) => (flags >> BigInt(bit)) & 1n).map(([, name]) => name);
  const known = FLAGS.reduce((mask, [bit]) => mask | (1n << BigInt(bit)), 0n);
  if (flags & ~known & 0xff_ffffn) names.push('software or reserved bits');
  return names.join(' ') || 'none';
}
/** An entry as the processor has it. */
const entryText = (entry: bigint): string =>
  `${flagsText((entry & 0xfffn) | ((entry >> 40n) & 0xff_f000n))}, frame ${((entry >> 12n) & 0xff_ffff_ffffn).toString(16)}`;

const ERRORS: Readonly<Record<number, string>> = {
  1: 'EPERM: not allowed',
  3: 'ESRCH: no such domain',
  4: 'EINTR: interrupted, to be continued',
  11: 'EAGAIN: to be tried again',
  12: 'ENOMEM: no memory',
  14: 'EFAULT: bad address',
  16: 'EBUSY: in use',
  22: 'EINVAL: invalid',
  38: 'ENOSYS: not implemented',
  85: 'ERESTART: to be continued',
};
const VECTORS: Readonly<Record<number, string>> = {
  0: '#DE divide error',
  3: '#BP breakpoint',
  6: '#UD invalid opcode: BUG() is a ud2',
  8: '#DF double fault',
  13: '#GP general protection',
  14: '#PF page fault',
};

/**
 * What a line says; undefined for a line that is no message of the hypervisor about a PV guest.
 * @param options.generation 4.1, 4.10 or 4.17
 */
export function explain(line: string, options: ExplainOptions = {}): Explanation | undefined {
  for (const message of MESSAGES) {
    const match = message.pattern.exec(line);
    if (!match) continue;
    const groups = match.groups ?? {};
    const number = (name: string): bigint | undefined => {
      const text = groups[name];
      return text === undefined ? undefined : parseHex(text);
    };
    const words: Word[] = [];
    const notes: string[] = [];
    const [saw, exp, taf] = [number('saw'), number('exp'), number('taf')];
    if (saw !== undefined || exp !== undefined || taf !== undefined) {
      const given = options.generation === undefined ? undefined : GENERATIONS[options.generation];
      const { layout, sure } = given ? { layout: given, sure: true } : layoutOf(line, saw ?? taf, exp);
      for (const [name, value] of [
        ['saw', saw],
        ['exp', exp],
        ['taf', taf],
      ] as const) {
        if (value === undefined) continue;
        const word = decodeTypeWord(layout, value);
        words.push({ name, value, means: word ? typeWordText(word) : 'no type of this layout' });
      }
      notes.push(
        `type words as laid out ${CALLED[layout]}${sure ? '' : '; both layouts would fit: --generation decides'}`,
      );
      const [s, e] = [saw, exp].map(w => (w === undefined ? undefined : decodeTypeWord(layout, w)));
      if (s && e) notes.push(conflict(s, e));
    }
    const flags = number('flags');
    if (flags !== undefined) words.push({ name: 'flags', value: flags, means: flagsText(flags) });
    const entry = number('entry') ?? number('e');
    if (entry !== undefined) words.push({ name: 'entry', value: entry, means: entryText(entry) });
    const error = Math.abs(Number(groups.error));
    if (message.id !== 'unhandled-trap' && ERRORS[error]) notes.push(`error ${ERRORS[error]}`);
    const vector = VECTORS[groups.pf === undefined ? Number(groups.vector ?? groups.vec) : 14];
    if (message.id === 'unhandled-trap' && vector) notes.push(vector);
    const { id, means, causes, guest } = message;
    return { id, message: match[0], means, words, notes, causes, guest };
  }
  return undefined;
}

const isTable = (w: TypeWord): boolean => /^l[1-4]$/.test(w.type);
/** What two types that exclude each other mean together. */
function conflict(saw: TypeWord, exp: TypeWord): string {
  const many = `${saw.count} reference${saw.count === 1n ? ' holds' : 's hold'} it`;
  if (saw.type === 'writable' && isTable(exp))
    return `the frame was to become a page table (${exp.type}) while it is mapped writable: ${many}. Find the writable mapping and make it read-only first.`;
  if (isTable(saw) && exp.type === 'writable')
    return `a writable mapping was asked for of a frame that is a page table (${saw.type}${saw.pinned ? ', pinned' : ''}): ${many}. ${saw.pinned ? 'Unpin it first.' : 'Take it out of the tables it is in first.'}`;
  if (isTable(saw) && isTable(exp))
    return `the frame is a table of level ${saw.type[1]} and was asked for as one of level ${exp.type[1]}: ${many}. A level was mixed up, or the table was reused without being released.`;
  return `the frame was asked for as ${exp.type} while it is ${saw.type}: ${many}.`;
}
