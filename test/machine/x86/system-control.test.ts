/** Control registers, translations and who may touch them; segments; model-specific registers; ports; saved state. */
import { expect, test } from 'vitest';
import { asPaddr } from '../../../src/base/brand.js';
import { CR0, CR4, EFER } from '../../../src/machine/x86/cpu.js';
import { FEATURES } from '../../../src/machine/x86/cpuid.js';
import { HIDDEN_STATE, X87_AT, XMM_AT } from '../../../src/machine/x86/hidden.js';
import { completePort, isPortExit, type PortExit } from '../../../src/machine/x86/ports.js';
import { ACCESSED, bare, DIRTY, GLOBAL, NX, PRESENT, R, Tables, USER, WRITE } from '../engine/guest.js';
import { AT, descriptor, faultOf, HALT, kernel, peek, put, run, SELECTOR, write } from './kernel.js';

const GP = faultOf(13, 0);
const PAGE = 0x40_0000n;
const RW = PRESENT | WRITE;

test.for<[string, string]>([
  ['hlt', 'f4'],
  ['mov cr3', '0f22d8'],
  ['mov from cr0', '0f20c0'],
  ['mov dr7', '0f23f8'],
  ['clts', '0f06'],
  ['lmsw', '0f01f0'],
  ['invlpg', '0f013b'],
  ['wbinvd', '0f09'],
  ['invd', '0f08'],
  ['swapgs', '0f01f8'],
  ['lgdt', '0f0113'],
  ['lidt', '0f011b'],
  ['lldt', '0f00d0'],
  ['ltr', '0f00d8'],
  ['rdmsr', '0f32'],
  ['wrmsr', '0f30'],
  ['cli', 'fa'],
  ['sti', 'fb'],
  ['in', 'e4e9'],
  ['out', 'ef'],
  ['rdpmc', '0f33'],
])('%s is #GP(0) in ring 3', ([, code]) => {
  expect(run(kernel({ user: code }, { rbx: AT.data, rcx: 0x10n }).cpu)).toEqual(GP);
});

/** [what, code, value in rax] that mov to a control register must refuse, with nothing changed. */
test.for<[string, string, bigint]>([
  ['cr0 with PG but not PE', '0f22c0', CR0.PG],
  ['cr0 with NW but not CD', '0f22c0', CR0.PG | CR0.PE | CR0.NW],
  ['cr0 without PG, in 64-bit mode', '0f22c0', CR0.PE],
  ['the upper half of cr0', '0f22c0', CR0.PE | CR0.PG | (1n << 32n)],
  ['a reserved address bit of cr3', '0f22d8', 1n << 46n],
  ['cr4 without PAE, in long mode', '0f22e0', CR4.PGE],
  ['a bit of cr4 that does not exist', '0f22e0', CR4.PAE | (1n << 20n)],
  ['cr8 above 15', '440f22c0', 16n],
  ['the upper half of dr7', '0f23f8', 1n << 32n],
])('%s is #GP(0)', ([, code, value]) => {
  const { cpu } = kernel({ kernel: code }, { rax: value });
  const before = Array.from({ length: cpu.count }, (_, reg) => cpu.get(reg));
  expect(run(cpu)).toEqual(GP);
  expect(Array.from({ length: cpu.count }, (_, reg) => cpu.get(reg))).toEqual(before);
});

/** Reads [rbx] at the start of `code` and after it; the entry of the page is changed by the host in between. */
function staleness(code: string, flags: bigint): bigint[] {
  const { cpu, tables } = kernel({ kernel: `488b0b ${code} 488b13 f4` }, { rbx: PAGE });
  const entry = tables.map(PAGE, 0x3_0000, flags);
  put(cpu, 0x3_0000n, 111n);
  put(cpu, 0x3_1000n, 222n);
  run(cpu, 1);
  put(cpu, BigInt(entry), 0x3_1000n | flags);
  expect(run(cpu)).toEqual(HALT);
  return [cpu.get(R.rcx!), cpu.get(R.rdx!)];
}
const RELOAD_CR3 = '0f20d8 0f22d8';
test('a translation stays until it is flushed: by cr3 unless global, by invlpg, by a change of CR4.PGE', () => {
  const [OLD, NEW] = [
    [111n, 111n],
    [111n, 222n],
  ];
  expect(staleness('90', RW)).toEqual(OLD);
  expect(staleness(RELOAD_CR3, RW)).toEqual(NEW);
  expect(staleness(RELOAD_CR3, RW | GLOBAL)).toEqual(OLD);
  expect(staleness('0f013b', RW | GLOBAL)).toEqual(NEW);
  expect(staleness('0f20e0 4880f080 0f22e0', RW | GLOBAL)).toEqual(NEW); // mov rax,cr4; xor al,0x80; mov cr4,rax
  expect(staleness('0f20c0 0f22c0', RW)).toEqual(OLD); // cr0 as it was
  expect(staleness('0f01bb00100000', RW)).toEqual(OLD); // invlpg [rbx+4096]: another page
});

test('hooks hear of roots, flushes and model-specific registers', () => {
  const { cpu } = kernel({ kernel: '0f22d8 0f013b 0f30 f4' }, { rax: 0x10_0000n, rbx: PAGE, rcx: 0xc000_0100n });
  const heard: unknown[] = [];
  cpu.onRoot = (old, value) => heard.push(['root', old, value]);
  cpu.onFlush = (scope, va) => heard.push(['flush', scope, va]);
  cpu.onMsr = (number, old, value) => heard.push(['msr', number, old, value]);
  cpu.set(R.fs_base!, 7n);
  expect(run(cpu)).toEqual(HALT);
  expect(heard).toEqual([
    ['root', 0x10_0000n, 0x10_0000n],
    ['flush', 'local', 0n],
    ['flush', 'page', PAGE],
    ['msr', 0xc000_0100, 7n, 0x10_0000n],
  ]);
});

test('a write to cr0 turns write protection on and off for the supervisor at once', () => {
  // mov [rbx],rax; mov rcx,cr0; xor rcx,1<<16; mov cr0,rcx; mov [rbx],rax
  const { cpu, tables } = kernel({ kernel: '488903 0f20c1 4881f100000100 0f22c1 488903 f4' }, { rbx: PAGE });
  tables.map(PAGE, 0x3_0000, PRESENT);
  cpu.set(R.cr0!, cpu.get(R.cr0!) & ~CR0.WP);
  const exit = run(cpu);
  expect(exit).toMatchObject({ kind: 'trap', trap: { vector: 14, code: 3, address: PAGE } });
  expect(cpu.machine.ticks).toBe(4);
});

test('a write to EFER makes NX reserved or meant, whatever is in the TLB', () => {
  // mov rcx,efer; rdmsr; btr eax,11 (and eax,~0x800); wrmsr; mov rdx,[rbx]
  const { cpu, tables } = kernel({ kernel: 'b9800000c0 488b33 0f32 25fff7ffff 0f30 488b33 f4' }, { rbx: PAGE });
  tables.map(PAGE, 0x3_0000, PRESENT | NX);
  expect(run(cpu)).toMatchObject({ kind: 'trap', trap: { vector: 14, code: 9, address: PAGE } });
  expect(cpu.get(R.efer!) & EFER.NXE).toBe(0n);
});

test('a kernel that starts without paging turns it on: LMA follows, and without PAE it may not', () => {
  // mov cr3,rax; mov rax,cr0; or eax,1<<31 (bts); mov cr0,rax; hlt
  const code = '0f22d8 0f20c0 0d00000080 0f22c0 f4';
  const cpu = bare(code, { rax: 0x10_0000n, cr4: CR4.PAE, efer: EFER.LME });
  const tables = new Tables(cpu);
  tables.map(0x1000n, 0x1000, RW);
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.get(R.efer!)).toBe(EFER.LME | EFER.LMA);
  expect(run(bare(code, { rax: 0x10_0000n, efer: EFER.LME }))).toEqual(GP);
  expect(run(bare(code, { rax: 0x10_0000n, cr4: CR4.PAE }))).toMatchObject({ kind: 'unimplemented' });
});

test('a denied write has used the levels above, but neither touched nor dirtied the page', () => {
  const { cpu, tables } = kernel({ user: '488903' }, { rbx: PAGE });
  const entry = tables.map(PAGE, 0x3_0000, PRESENT | USER);
  const top = BigInt(tables.root);
  expect(run(cpu)).toMatchObject({ trap: { vector: 14, code: 7 } });
  expect(peek(cpu, BigInt(entry)) & (ACCESSED | DIRTY)).toBe(0n);
  expect(peek(cpu, top) & ACCESSED).toBe(ACCESSED);
});

test('clts, lmsw and smsw reach the low bits of cr0; lmsw cannot leave protected mode', () => {
  const { cpu } = kernel({ kernel: '0f01f0 0f01e1 0f06 f4' }, { rax: 0xen }); // lmsw ax; smsw ecx; clts; hlt
  const before = cpu.get(R.cr0!);
  run(cpu);
  expect(cpu.get(R.rcx!)).toBe(before | 0xen);
  expect(cpu.get(R.cr0!)).toBe((before | 0xen) & ~CR0.TS);
});

test('cli and sti obey IOPL', () => {
  const { cpu } = kernel({ user: 'fa fb' }, { rflags: 0x3202n });
  run(cpu, 1);
  expect(cpu.get(R.rflags!)).toBe(0x3002n);
  run(cpu, 1);
  expect(cpu.get(R.rflags!)).toBe(0x3202n);
});

// Segments

test('loading fs and gs takes the base from the descriptor and marks it accessed; null clears it', () => {
  // mov fs,eax; mov gs,ecx; mov es,edx
  const { cpu } = kernel({ user: '8ee0 8ee9 8ec2 90' }, { rax: BigInt(SELECTOR.based), rcx: 0n, rdx: 0x2bn });
  cpu.set(R.gs_base!, 99n);
  put(cpu, AT.gdt + 0x28n, descriptor(0xf2, 0xc));
  run(cpu, 3);
  expect(['fs', 'fs_base', 'gs', 'gs_base', 'es'].map(name => cpu.get(R[name]!))).toEqual([
    BigInt(SELECTOR.based),
    0x8765_4321n,
    0n,
    0n,
    0x2bn,
  ]);
  expect(peek(cpu, AT.gdt + 0x28n)).toBe(descriptor(0xf3, 0xc));
});

test.for<[string, 0 | 3, string, number, unknown]>([
  ['ds with a selector outside the GDT', 3, '8ed8', 0x1003, faultOf(13, 0x1000)],
  ['ds of ring 0 in ring 3', 3, '8ed8', SELECTOR.data0, faultOf(13, SELECTOR.data0)],
  ['ds that is execute-only code', 3, '8ed8', SELECTOR.executeOnly | 3, faultOf(13, SELECTOR.executeOnly)],
  ['ds that is a system descriptor', 0, '8ed8', SELECTOR.tss, faultOf(13, SELECTOR.tss)],
  ['ds that is not present', 0, '8ed8', SELECTOR.absent, faultOf(11, SELECTOR.absent)],
  ['ss that is not present', 0, '8ed0', SELECTOR.absent, faultOf(12, SELECTOR.absent)],
  ['ss null in ring 3', 3, '8ed0', 3, GP],
  ['ss of another ring', 0, '8ed0', SELECTOR.data3, faultOf(13, SELECTOR.data3 & ~3)],
  ['ss that is read-only', 3, '8ed0', SELECTOR.readOnly | 3, faultOf(13, SELECTOR.readOnly)],
  ['es from an empty LDT', 0, '8ec0', 4, faultOf(13, 4)],
])('%s is refused', ([, ring, code, selector, expected]) => {
  const { cpu } = kernel(ring ? { user: code } : { kernel: code }, { rax: BigInt(selector) });
  expect(run(cpu)).toEqual(expected);
  expect(cpu.machine.ticks).toBe(0);
});

test('an LDT and a TSS are loaded from 16-byte descriptors; the TSS becomes busy, and twice is a fault', () => {
  const { cpu } = kernel(
    { kernel: '0f00d0 8ee1 0f00da 0f00c6 0f00da f4' }, // lldt ax; mov fs,ecx; ltr dx; sldt esi; ltr dx
    { rax: BigInt(SELECTOR.ldt), rcx: 0xcn, rdx: BigInt(SELECTOR.tss) },
  );
  put(cpu, AT.ldt + 8n, descriptor(0xf3, 0xc, 0x1122_3344n));
  cpu.hidden.set(HIDDEN_STATE.trBase, 0n);
  put(cpu, AT.gdt + BigInt(SELECTOR.tss + 8), 0xffff_8000n); // base 63:32
  expect(run(cpu)).toEqual(faultOf(13, SELECTOR.tss));
  expect(cpu.machine.ticks).toBe(4);
  expect([cpu.get(R.fs_base!), cpu.get(R.rsi!)]).toEqual([0x1122_3344n, BigInt(SELECTOR.ldt)]);
  expect([cpu.hidden.get(HIDDEN_STATE.trBase), cpu.hidden.get(HIDDEN_STATE.trLimit)]).toEqual([
    0xffff_8000_0000_5000n,
    0x67n,
  ]);
  expect((peek(cpu, AT.gdt + BigInt(SELECTOR.tss)) >> 40n) & 0xffn).toBe(0x8bn);
});

test('lar, lsl, verr and verw tell what the current privilege may see', () => {
  const ask = (code: string, selector: number, ring: 0 | 3): [bigint, boolean] => {
    const source = `${code} 90`;
    const { cpu } = kernel(ring ? { user: source } : { kernel: source }, { rax: BigInt(selector), rcx: 77n });
    run(cpu, 1);
    return [cpu.get(R.rcx!), (cpu.get(R.rflags!) & 0x40n) !== 0n];
  };
  const [LAR, LSL, VERR, VERW] = ['0f02c8', '0f03c8', '0f00e0', '0f00e8'];
  expect(ask(LAR!, SELECTOR.data0, 0)).toEqual([0xc0_9300n, true]);
  expect(ask(LAR!, SELECTOR.data0, 3)).toEqual([77n, false]);
  expect(ask(LAR!, SELECTOR.tss, 0)).toEqual([0x00_8900n, true]);
  expect(ask(LSL!, SELECTOR.data0, 0)).toEqual([0xffff_ffffn, true]);
  expect(ask(LSL!, SELECTOR.tss, 0)).toEqual([0x67n, true]);
  expect(ask(LSL!, SELECTOR.callGate, 0)).toEqual([77n, false]);
  expect(ask(VERR!, SELECTOR.readOnly | 3, 3)[1]).toBe(true);
  expect(ask(VERW!, SELECTOR.readOnly | 3, 3)[1]).toBe(false);
  expect(ask(VERW!, SELECTOR.data3, 3)[1]).toBe(true);
  expect(ask(VERR!, SELECTOR.executeOnly | 3, 3)[1]).toBe(false);
  expect(ask(VERR!, 0, 0)[1]).toBe(false);
});

test('lgdt and lidt read ten bytes, sgdt and sidt write them, and a base must be canonical', () => {
  const { cpu } = kernel({ kernel: '0f0113 0f0141 10 0f0103' }, { rbx: AT.data, rcx: AT.data + 0x20n });
  write(cpu, AT.data, '3412 8877665544ffffff ffff');
  write(cpu, AT.data, '3412 8877665544800000');
  expect(run(cpu)).toEqual(GP);
  write(cpu, AT.data, '3412 88776655448 0ffff'.replace(/ /g, ''));
  expect(run(cpu, 1)).toEqual({ kind: 'limit' });
  expect([cpu.get(R.gdtr_limit!), cpu.get(R.gdtr_base!)]).toEqual([0x1234n, 0xffff_8044_5566_7788n]);
});

test('lss and lgs load a far pointer, pop fs a selector', () => {
  const { cpu } = kernel({ kernel: '480fb503 0fb24b10 0fa1 f4' }, { rbx: AT.data }); // lgs rax,[rbx]; lss ecx,[rbx+16]; pop fs
  put(cpu, AT.data, 0x1234_5678_9abcn);
  put(cpu, AT.data + 8n, BigInt(SELECTOR.based));
  put(cpu, AT.data + 16n, 0x18_8765_4321n);
  put(cpu, 0x8ff8n, BigInt(SELECTOR.based));
  cpu.set(R.rsp!, 0x8ff8n);
  expect(run(cpu)).toEqual(HALT);
  const names = ['rax', 'gs', 'gs_base', 'rcx', 'ss', 'fs_base', 'rsp'];
  expect(names.map(name => cpu.get(R[name]!))).toEqual([
    0x1234_5678_9abcn,
    BigInt(SELECTOR.based),
    0x8765_4321n,
    0x8765_4321n,
    0x18n,
    0x8765_4321n,
    0x9000n,
  ]);
});

test('swapgs exchanges the bases of gs', () => {
  const { cpu } = kernel({ kernel: '0f01f8 f4' }, { gs_base: 1n, kernel_gs_base: 2n });
  run(cpu);
  expect([cpu.get(R.gs_base!), cpu.get(R.kernel_gs_base!)]).toEqual([2n, 1n]);
});

// Model-specific registers, cpuid, time

test.for<[string, number, bigint, bigint | 'fault']>([
  ['star', 0xc000_0081, 0x23_0010_0000_0000n, 0x23_0010_0000_0000n],
  ['lstar', 0xc000_0082, 0xffff_ffff_8000_0000n, 0xffff_ffff_8000_0000n],
  ['lstar that is not canonical', 0xc000_0082, 1n << 47n, 'fault'],
  ['fmask', 0xc000_0084, 0x4_7700n, 0x4_7700n],
  ['gs base', 0xc000_0101, ~0n & 0xffff_ffff_ffff_f000n, 0xffff_ffff_ffff_f000n],
  ['kernel gs base that is not canonical', 0xc000_0102, 1n << 62n, 'fault'],
  ['tsc aux', 0xc000_0103, 5n, 5n],
  ['efer, LMA stays', 0xc000_0080, EFER.SCE | EFER.LME, EFER.SCE | EFER.LME | EFER.LMA],
  ['efer, LME may not change', 0xc000_0080, EFER.SCE, 'fault'],
  ['efer, other bits', 0xc000_0080, EFER.LME | 2n, 'fault'],
  ['pat', 0x277, 0x0105_0600_0401_0600n, 0x0105_0600_0401_0600n],
  ['pat with a type that does not exist', 0x277, 2n, 'fault'],
  ['what is no register', 0x1b, 0n, 'fault'],
])('wrmsr then rdmsr: %s', ([, number, value, expected]) => {
  // wrmsr; xor eax,eax; xor edx,edx; rdmsr; hlt
  const registers = { rcx: BigInt(number), rax: value & 0xffff_ffffn, rdx: value >> 32n };
  const { cpu } = kernel({ kernel: '0f30 31c0 31d2 0f32 f4' }, registers);
  const exit = run(cpu);
  if (expected === 'fault') expect(exit).toEqual(GP);
  else expect((cpu.get(R.rdx!) << 32n) | cpu.get(R.rax!)).toBe(expected);
});

test('the time stamp counts ticks from where it was set, skipped ones too, and TSD keeps ring 3 from it', () => {
  // mov ecx,0x10; mov eax,1000; xor edx,edx; wrmsr; nop; rdtscp; hlt
  const { cpu } = kernel({ kernel: 'b910000000 b8e8030000 31d2 0f30 90 0f01f9 f4' }, { tsc_aux: 9n, rdx: 1n });
  run(cpu, 4);
  cpu.machine.skip(500);
  run(cpu);
  expect([cpu.get(R.rax!), cpu.get(R.rdx!), cpu.get(R.rcx!)]).toEqual([1502n, 0n, 9n]);
  const denied = kernel({ user: '0f31' }).cpu;
  denied.set(R.cr4!, denied.get(R.cr4!) | CR4.TSD);
  expect(run(denied)).toEqual(GP);
});

test('cpuid says what works and nothing else, clears the upper halves, and can be replaced', () => {
  const ask = (leaf: number): bigint[] => {
    const { cpu } = kernel({ kernel: '0fa2 f4' }, { rax: BigInt(leaf) | (1n << 40n), rbx: ~0n });
    run(cpu);
    return ['rax', 'rbx', 'rcx', 'rdx'].map(name => cpu.get(R[name]!));
  };
  const [max, ...vendor] = ask(0);
  const text = [vendor[0]!, vendor[2]!, vendor[1]!]
    .flatMap(word => [0n, 8n, 16n, 24n].map(shift => String.fromCharCode(Number((word >> shift) & 0xffn))))
    .join('');
  expect([max, text]).toEqual([1n, 'GenuineIntel']);
  const edx = ask(1)[3]!;
  for (const name of ['fpu', 'pse', 'msr', 'pae', 'cx8', 'pge', 'mmx', 'fxsr', 'cmov', 'sse', 'sse2'] as const)
    expect((edx >> BigInt(FEATURES.basic[name])) & 1n).toBe(1n);
  expect((ask(0x8000_0001)[3]! >> 29n) & 1n).toBe(1n);
  expect(ask(0x8000_0008)[0]).toBe(0x302en);
  expect(ask(0x4000_0000)).toEqual(ask(1));
  const { cpu } = kernel({ kernel: '0fa2 f4' }, { rax: 0x4000_0000n });
  cpu.cpuid = leaf => [leaf, 1, 2, -1];
  run(cpu);
  expect(['rax', 'rbx', 'rcx', 'rdx'].map(name => cpu.get(R[name]!))).toEqual([0x4000_0000n, 1n, 2n, 0xffff_ffffn]);
});

// Ports

const port = (exit: unknown): PortExit => {
  if (!isPortExit(exit as PortExit)) throw new Error(`no port: ${JSON.stringify(exit)}`);
  return exit as PortExit;
};
test('out gives its value to the host, in takes one, and both count one instruction', () => {
  const { cpu } = kernel({ kernel: 'e6e9 ed e4e9 f4' }, { rax: ~0n, rdx: 0x3f8n }); // out 0xe9,al; in eax,dx; in al,0xe9
  const out = port(run(cpu));
  expect(out).toMatchObject({ name: 'out', port: { port: 0xe9, bytes: 1, value: 0xff } });
  expect(completePort(cpu, out, 0)).toBeUndefined();
  const wide = port(run(cpu));
  expect(wide).toMatchObject({ name: 'in', port: { port: 0x3f8, bytes: 4, value: undefined } });
  completePort(cpu, wide, 0x8765_4321);
  expect(cpu.get(R.rax!)).toBe(0x8765_4321n);
  completePort(cpu, port(run(cpu)), 0x155);
  expect([cpu.get(R.rax!), cpu.machine.ticks]).toEqual([0x8765_4355n, 3]);
  expect(run(cpu)).toEqual(HALT);
});

test('the map in the TSS lets ring 3 use single ports', () => {
  const attempt = (code: string, limit = 0x67n + 64n): unknown => {
    const { cpu } = kernel({ user: code });
    cpu.hidden.set(HIDDEN_STATE.trLimit, limit);
    put(cpu, AT.tss + 0x60n, 0x68n << 48n); // map base
    for (let n = 0n; n < 64n; n += 8n) put(cpu, AT.tss + 0x68n + n, ~0n & 0xffff_ffff_ffff_ffffn);
    put(cpu, AT.tss + 0x68n + 24n, 0xffff_ffff_ffff_fcffn); // ports 0xc8 and 0xc9
    return run(cpu);
  };
  expect(attempt('e4c8')).toMatchObject({ kind: 'call', name: 'in' });
  expect(attempt('66e5c8')).toMatchObject({ kind: 'call', port: { bytes: 2 } });
  expect(attempt('66e5c9')).toEqual(GP); // its second byte is not allowed
  expect(attempt('e4c7')).toEqual(GP);
  expect(attempt('e4c8', 0x67n + 24n)).toEqual(GP); // the map ends before
});

test('rep insb stores element by element, stops at a fault with its progress, and counts once', () => {
  const { cpu, tables } = kernel({ kernel: 'f36c f4' }, { rdi: PAGE + 0xffen, rcx: 4n, rdx: 0x60n });
  tables.map(PAGE, 0x3_0000, RW);
  const results: unknown[] = [];
  for (const value of [1, 2, 3]) results.push(completePort(cpu, port(run(cpu)), value));
  expect(results).toMatchObject([undefined, undefined, { kind: 'trap', trap: { vector: 14, code: 2 } }]);
  expect([cpu.get(R.rdi!), cpu.get(R.rcx!), cpu.get(R.rip!), cpu.machine.ticks]).toEqual([
    PAGE + 0x1000n,
    2n,
    AT.kernel,
    0,
  ]);
  tables.map(PAGE + 0x1000n, 0x3_1000, RW);
  for (const value of [3, 4]) completePort(cpu, port(run(cpu)), value);
  expect([cpu.get(R.rcx!), cpu.get(R.rip!), cpu.machine.ticks]).toEqual([0n, AT.kernel + 2n, 1]);
  expect([cpu.memory.read(asPaddr(0x3_0ffe), 2), cpu.memory.read(asPaddr(0x3_1000), 2)]).toEqual([0x201n, 0x403n]);
  const none = kernel({ kernel: 'f36c f4' }, { rcx: 0n }).cpu;
  expect(run(none)).toEqual(HALT);
});

test('outsw reads its memory, and faults where that is missing before the host hears of it', () => {
  const { cpu } = kernel({ kernel: '666f f4' }, { rsi: AT.data, rdx: 0x60n });
  put(cpu, AT.data, 0x1234n);
  const exit = port(run(cpu));
  expect(exit).toMatchObject({ name: 'outs', port: { port: 0x60, bytes: 2, value: 0x1234 } });
  completePort(cpu, exit, 0);
  expect([cpu.get(R.rsi!), cpu.machine.ticks]).toEqual([AT.data + 2n, 1]);
  expect(run(kernel({ kernel: '666f' }, { rsi: PAGE }).cpu)).toMatchObject({ trap: { vector: 14, address: PAGE } });
});

// Vector state

test('fxsave writes what fxrstor read, all but the tail; both ask for alignment', () => {
  const { cpu } = kernel({ kernel: '480fae09 480fae03 f4' }, { rcx: AT.data, rbx: AT.data + 0x200n });
  const image = Array.from({ length: 64 }, (_, n) => (BigInt(n + 1) * 0x0101_0203_0405_0607n) & 0xffff_ffff_ffff_ffffn);
  image[0] = 0x0123_0055_1800_037fn; // fop, ftw, fsw with TOP 3, fcw
  image[1] = 0x7fff_1234_5678n; // fip and fdp are canonical
  image[2] = 0xffff_8000_0102_0304n;
  image[3] = 0x1f80n;
  for (let n = 5; n < 20; n += 2) image[n]! &= 0xffffn;
  image.forEach((word, n) => {
    put(cpu, AT.data + BigInt(8 * n), word);
  });
  expect(run(cpu)).toEqual(HALT);
  const saved = Array.from({ length: 64 }, (_, n) => peek(cpu, AT.data + 0x200n + BigInt(8 * n)));
  expect(saved.slice(0, 52)).toEqual(image.map((word, n) => (n === 3 ? 0xffff_0000_1f80n : word)).slice(0, 52));
  expect(saved.slice(52)).toEqual(new Array(12).fill(0n));
  expect([cpu.get(R.fcw!), cpu.get(R.fsw!), cpu.get(R.mxcsr!)]).toEqual([0x37fn, 0x1800n, 0x1f80n]);
  // st0 is physical register 3; xmm0 lies first.
  expect(cpu.hidden.get(X87_AT + 16 * 3)).toBe(image[4]);
  expect(cpu.hidden.get(XMM_AT)).toBe(image[20]);
  for (const code of ['480fae03', '480fae0b'])
    expect(run(kernel({ kernel: code }, { rbx: AT.data + 8n }).cpu)).toEqual(GP);
});

test.for<[string, string, bigint, unknown]>([
  ['fninit with TS', 'dbe3', CR0.TS, faultOf(7)],
  ['fnstcw with EM', 'd93b', CR0.EM, faultOf(7)],
  ['fxsave with TS', '0fae03', CR0.TS, faultOf(7)],
  ['fxsave with EM', '0fae03', CR0.EM, faultOf(6)],
  ['emms with EM', '0f77', CR0.EM, faultOf(6)],
  ['stmxcsr with TS', '0fae1b', CR0.TS, faultOf(7)],
  ['wait with TS and MP', '9b', CR0.TS | CR0.MP, faultOf(7)],
  ['wait with TS', '9b', CR0.TS, { kind: 'limit' }],
])('%s', ([, code, bits, expected]) => {
  const { cpu } = kernel({ kernel: code }, { rbx: AT.data });
  cpu.set(R.cr0!, cpu.get(R.cr0!) | bits);
  expect(run(cpu, 1)).toEqual(expected);
});

test('control words: fninit, fldcw, fnstcw, fnstsw, ldmxcsr, stmxcsr, and reserved bits of mxcsr', () => {
  // fldcw [rbx]; fnstcw [rbx+8]; fninit; fnstcw [rbx+16]; fnstsw ax; ldmxcsr [rbx+24]; stmxcsr [rbx+32]
  const code = 'd92b d97b08 dbe3 d97b10 dfe0 0fae5318 0fae5b20 f4';
  const { cpu } = kernel({ kernel: code }, { rbx: AT.data, rax: ~0n, fsw: 0x7f7fn });
  put(cpu, AT.data, 0xffffn);
  put(cpu, AT.data + 24n, 0x9fc0n);
  expect(run(cpu)).toEqual(HALT);
  expect([8n, 16n, 32n].map(n => peek(cpu, AT.data + n))).toEqual([0x1f7fn, 0x37fn, 0x9fc0n]);
  expect(cpu.get(R.rax!)).toBe(0xffff_ffff_ffff_0000n);
  const bad = kernel({ kernel: '0fae13' }, { rbx: AT.data }).cpu;
  put(bad, AT.data, 0x1_0000n);
  expect(run(bad)).toEqual(GP);
  const off = kernel({ kernel: '0fae13' }, { rbx: AT.data }).cpu;
  off.set(R.cr4!, CR4.PAE);
  expect(run(off)).toEqual(faultOf(6));
});
