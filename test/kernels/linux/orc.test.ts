import { describe, expect, it } from 'vitest';
import type { Section } from '../../../src/isa/elf.js';
import { Orc, orcTables, signed, unsigned } from '../../../src/kernels/linux/orc.js';

const TEXT = 0xffff_ffff_8100_0000n;
const STACK = 0xffff_c900_0001_0000n;
const IP_AT = 0xffff_ffff_8200_0000n;
const SP = 5;
const BP = 4;
const PREV_SP = 1;

interface Range {
  /** First instruction, from TEXT. */
  readonly from: number;
  readonly sp: readonly [reg: number, offset: number];
  readonly bp?: readonly [reg: number, offset: number];
  readonly type?: 'call' | 'regs' | 'iret' | 'end';
}
/** As objtool writes them, before or since 6.4. */
function sections(ranges: readonly Range[], since64: boolean): Section[] {
  const ip = Buffer.alloc(4 * ranges.length);
  const entries = Buffer.alloc(6 * ranges.length);
  ranges.forEach(({ from, sp, bp = [0, 0], type = 'call' }, n) => {
    ip.writeInt32LE(Number(TEXT - IP_AT) + from - 4 * n, 4 * n);
    entries.writeInt16LE(sp[1], 6 * n);
    entries.writeInt16LE(bp[1], 6 * n + 2);
    const old = { call: 0, regs: 1, iret: 2, end: 4 }[type];
    const now = { call: 2, regs: 3, iret: 4, end: 1 }[type];
    entries.writeUInt16LE(sp[0] | (bp[0] << 4) | ((since64 ? now : old) << 8), 6 * n + 4);
  });
  const named = (name: string, at: bigint, data: Uint8Array): Section => ({ name, at, data });
  return [
    named('.orc_unwind_ip', IP_AT, ip),
    named('.orc_unwind', IP_AT + 0x1000n, entries),
    ...(since64 ? [named('.orc_header', 0n, Buffer.alloc(20))] : []),
  ];
}
/** inner (at 0) pushed rbp and two words; middle (0x100) has a frame pointer; entry (0x200) is an exception's; outer (0x300). */
const RANGES: readonly Range[] = [
  { from: 0, sp: [SP, 8] },
  { from: 4, sp: [SP, 32], bp: [PREV_SP, -16] },
  { from: 0x100, sp: [BP, 16], bp: [PREV_SP, -16] },
  { from: 0x200, sp: [SP, 0], type: 'regs' },
  { from: 0x280, sp: [SP, 8], type: 'iret' },
  { from: 0x300, sp: [SP, 24] },
  { from: 0x400, sp: [0, 0], type: 'end' },
];
class Memory {
  private readonly words = new Map<bigint, bigint>();
  put(at: bigint, ...values: bigint[]): this {
    values.forEach((value, n) => {
      this.words.set(at + BigInt(8 * n), value);
    });
    return this;
  }
  readonly read = (at: number): number => signed(this.words.get(unsigned(at)) ?? 1n << 60n);
}
/** Unwinds, with addresses as they are written. */
const orc = (since64: boolean) => {
  const tables = new Orc(orcTables(sections(RANGES, since64))!);
  return {
    unwind: ({ pc, sp, bp }: { pc: bigint; sp: bigint; bp: bigint }, read: Memory['read'], max: number): bigint[] =>
      tables.unwind({ pc: signed(pc), sp: signed(sp), bp: signed(bp) }, read, max).map(unsigned),
  };
};

describe.for([false, true])('stacks by ORC, tables since 6.4: %s', since64 => {
  it('go through frames with and without a frame pointer', () => {
    // inner is at 0x10: CFA = sp + 32, saved rbp at CFA - 16; middle's CFA = rbp + 16.
    const memory = new Memory()
      .put(STACK, 1n, 2n, STACK + 0x50n, TEXT + 0x150n) //    inner's frame: two words, rbp, return into middle
      .put(STACK + 0x50n, 0n, TEXT + 0x305n) //               middle's: rbp, return into outer
      .put(STACK + 0x60n, 9n, 9n, TEXT + 0x405n); //          outer's: two words, return to the end of the stack
    const frame = { pc: TEXT + 0x10n, sp: STACK, bp: 0n };
    const stack = [TEXT + 0x150n, TEXT + 0x305n, TEXT + 0x405n];
    expect(orc(since64).unwind(frame, memory.read, 16)).toEqual(stack);
    expect(orc(since64).unwind(frame, memory.read, 2)).toEqual(stack.slice(0, 2));
  });
  it('go on behind an exception by its saved registers', () => {
    const words = Array.from({ length: 21 }, () => 0n);
    [words[4], words[16], words[19]] = [STACK + 0x190n, TEXT + 0x120n, STACK + 0x180n]; // rbp, rip, rsp: inside middle
    const memory = new Memory().put(STACK, ...words).put(STACK + 0x190n, 0n, TEXT + 0x405n);
    const found = orc(since64).unwind({ pc: TEXT + 0x210n, sp: STACK, bp: 0n }, memory.read, 16);
    expect(found).toEqual([TEXT + 0x120n, TEXT + 0x405n]);
  });
  it('go on behind an entry that has only the frame of iret', () => {
    const memory = new Memory()
      .put(STACK, 0n, TEXT + 0x310n, 0x10n, 0x202n, STACK + 0x100n) // error code; rip, cs, flags, rsp
      .put(STACK + 0x110n, TEXT + 0x405n);
    const found = orc(since64).unwind({ pc: TEXT + 0x290n, sp: STACK, bp: 0n }, memory.read, 16);
    expect(found).toEqual([TEXT + 0x310n, TEXT + 0x405n]);
  });
  it('count a return address behind the last call of a function as inside it', () => {
    // middle calls something that never returns with its last instruction: the return address is entry's first.
    const memory = new Memory().put(STACK, TEXT + 0x200n).put(STACK + 0x80n, 0n, TEXT + 0x405n);
    const found = orc(since64).unwind({ pc: TEXT, sp: STACK, bp: STACK + 0x80n }, memory.read, 16);
    expect(found).toEqual([TEXT + 0x200n, TEXT + 0x405n]);
  });
  it('end where memory, tables or the kernel end, and never go round', () => {
    const memory = new Memory().put(STACK, TEXT + 0x110n).put(STACK + 0x10n, STACK - 0x10n, TEXT + 0x110n);
    memory.put(STACK - 0x10n, STACK + 0x10n, TEXT + 0x110n);
    const from = (pc: bigint, bp = 0n) => orc(since64).unwind({ pc, sp: STACK, bp }, memory.read, 16);
    expect(from(TEXT)).toEqual([TEXT + 0x110n]); //                no memory at rbp = 0
    expect(from(TEXT, STACK + 0x10n)).toEqual([TEXT + 0x110n, TEXT + 0x110n]); // then inwards
    expect(from(TEXT - 1n)).toEqual([]); //                        before the first range
    expect(from(TEXT + 0x400n)).toEqual([]);
    expect(from(0x40_0000n)).toEqual([]);
  });
});

it('an image without the tables has no such stacks', () => {
  expect(orcTables([])).toBeUndefined();
});
