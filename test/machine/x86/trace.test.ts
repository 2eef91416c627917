/**
 * Programs of gcc -O2 (with floats, -O3), instruction by instruction: the registers after each, xmm registers and mxcsr among
 * them, are those of the real processor, which runs the same image under single-step.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { asPaddr } from '../../../src/base/brand.js';
import { parseElf } from '../../../src/isa/elf.js';
import { X86_64 } from '../../../src/isa/x86_64.js';
import { Cpu, CR4 } from '../../../src/machine/x86/cpu.js';
import { decode } from '../../../src/machine/x86/decode.js';
import { XMM_AT } from '../../../src/machine/x86/hidden.js';
// @ts-expect-error plain JavaScript, no types
import { traceNative } from '../../../tools/cpu/native.mjs';
import { MIB, R } from '../engine/guest.js';

const STEPS = 60_000;
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
interface Program {
  readonly name: string;
  readonly source: string;
  readonly what: number;
  readonly n: number;
  readonly floats?: boolean;
}
const PROGRAMS: readonly Program[] = [
  { name: 'crc', source: '../engine/kernels.c', what: 0, n: 500 },
  { name: 'sieve', source: '../engine/kernels.c', what: 1, n: 2000 },
  { name: 'shell sort', source: '../engine/kernels.c', what: 2, n: 200 },
  { name: 'fib', source: '../engine/kernels.c', what: 3, n: 16 },
  { name: 'hash and divide', source: '../engine/kernels.c', what: 4, n: 1500 },
  { name: 'strings', source: 'strings.c', what: 0, n: 150 },
  { name: 'doubles', source: 'floats.c', what: 0, n: 6, floats: true },
  { name: 'singles', source: 'floats.c', what: 1, n: 60, floats: true },
  { name: 'conversions', source: 'floats.c', what: 2, n: 60, floats: true },
  { name: 'vectorized', source: 'floats.c', what: 3, n: 20, floats: true },
];
const FLAGS =
  '-O2 -static -nostdlib -ffreestanding -fno-pic -no-pie -fno-stack-protector -fcf-protection=none -mstringop-strategy=rep_8byte -Wl,--build-id=none -Wl,-z,noexecstack'.split(
    ' ',
  );
/** Of the others gcc may not use xmm registers, as it may not in a kernel. */
const INTEGER = ['-mgeneral-regs-only'];
const FLOAT = ['-O3', '-msse2', '-mfpmath=sse'];
const START = (what: number, n: number): string =>
  `.globl _start\n_start: lea stack_top(%rip), %rsp\n mov $${what}, %edi\n mov $${n}, %esi\n lea memory(%rip), %rdx\n call entry\n ud2\n.bss\n.balign 4096\nmemory: .skip 65536\n.skip 65536\nstack_top:\n`;

const folder = mkdtempSync(join(tmpdir(), 'rewalk-trace-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const able =
  process.arch === 'x64' && process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0 ? it : it.skip; // needs the real processor and gcc

const bit = (...names: string[]): number =>
  X86_64.flagBits.filter(([, name]) => names.includes(name)).reduce((mask, [n]) => mask | (1 << n), 0);
const ALL = bit('CF', 'PF', 'AF', 'ZF', 'SF', 'OF');
/** What an instruction leaves of the flags without meaning, given what was without meaning (SDM volume 2, each page). */
function meaningless(op: string, before: number): number {
  if (/^(and|or|xor|test)$/.test(op)) return bit('AF');
  if (/^(add|sub|cmp|neg|adc|sbb|cmps|scas|xadd|cmpxchg)$/.test(op)) return 0;
  if (/^u?comis[sd]$/.test(op)) return 0;
  if (/^(inc|dec)$/.test(op)) return before & bit('CF');
  if (/^(mul|imul)$/.test(op)) return bit('SF', 'ZF', 'AF', 'PF');
  if (/^(div|idiv)$/.test(op)) return ALL;
  if (/^(shl|shr|sar|shld|shrd)$/.test(op)) return before | bit('AF', 'OF');
  if (/^(rol|ror|rcl|rcr)$/.test(op)) return before | bit('OF');
  if (/^(bt|bts|btr|btc)$/.test(op)) return before | bit('OF', 'SF', 'AF', 'PF');
  if (/^(bsf|bsr)$/.test(op)) return ALL & ~bit('ZF');
  return before;
}

const vectorOf = (cpu: Cpu, n: number): bigint =>
  (cpu.hidden.get(XMM_AT + 16 * n + 8) << 64n) | cpu.hidden.get(XMM_AT + 16 * n);

describe('a program of gcc -O2 has the registers of the real processor after every instruction:', () => {
  able.each(PROGRAMS)('$name', ({ name, source, what, n, floats = false }: Program) => {
    const base = join(folder, name.replaceAll(' ', '-'));
    writeFileSync(`${base}.s`, START(what, n));
    const gcc = spawnSync('gcc', [...FLAGS, ...(floats ? FLOAT : INTEGER), '-o', base, `${base}.s`, here(source)], {
      encoding: 'utf8',
    });
    expect(gcc.stderr.replace(/.*warning.*\n?/g, '')).not.toMatch(/error/);
    const lines: string[] = traceNative(base, STEPS).trimEnd().split('\n');

    const cpu = new Cpu(16 * MIB, { arenaBytes: 1 << 20 });
    const elf = parseElf(readFileSync(base), base);
    for (const s of elf.segments) cpu.memory.hostWrite(asPaddr(Number(s.virtual)), s.data);
    cpu.set(R.rip!, elf.entry);
    cpu.set(R.rflags!, 0x202n);
    cpu.set(R.cr4!, CR4.OSFXSR | CR4.OSXMMEXCPT);
    const nowIn = (register: string): bigint =>
      register.startsWith('xmm') ? vectorOf(cpu, Number(register.slice(3))) : cpu.get(R[register]!);

    const want: Record<string, bigint> = {};
    let blurred = 0;
    let steps = 0;
    for (const [at, line] of lines.entries()) {
      if (line.startsWith('end')) {
        expect(line).toMatch(/end (steps|signal 4)/);
        break;
      }
      const [rip, ...changes] = line.split(' ');
      for (const change of changes) {
        const [register, value] = change.split('=');
        if (floats || !register!.startsWith('xmm')) want[register!] = BigInt(`0x${value}`);
      }
      if (at > 0) {
        const pc = Number(cpu.get(R.rip!));
        const insn = decode(cpu.memory.guest, pc, pc + 15);
        if ('operands' in insn) blurred = meaningless(insn.op, blurred);
        for (let exit = cpu.machine.step(); exit.kind === 'busy'; ) exit = cpu.machine.step();
        steps++;
      }
      const where = `${name}, instruction ${at}`;
      expect(cpu.get(R.rip!), where).toBe(BigInt(`0x${rip}`));
      const mask = ~BigInt(blurred) & 0xcd5n;
      for (const [register, value] of Object.entries(want)) {
        const got = nowIn(register);
        if (register === 'rflags') expect(got & mask, `${where}, flags`).toBe(value & mask);
        else if (got !== value)
          expect.fail(`${where}: ${register} is ${got.toString(16)}, natively ${value.toString(16)}`);
      }
    }
    expect(steps).toBeGreaterThan(1500);
  });
});
