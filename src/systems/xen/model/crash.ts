/**
 * What Xen prints when a domain goes wrong, in the words of its generation: prefixes of messages, a walk of the page
 * tables, the registers, the guest's stack.
 */

import { asFrame, paddrOf } from '../../../base/brand.js';
import { hex, hex16 } from '../../../base/u64.js';
import { REG } from '../../../isa/x86_64.js';
import { isCanonical } from '../../../machine/x86/control.js';
import { isGuestAddress } from './mm/entries.js';
import type { Xen } from './xen.js';

/** gdprintk of 4.1 names file and line; gprintk of 4.17 only the vcpu. */
export const prefix = ({ generation, id }: Xen, place: string): string =>
  generation === '4.1' ? `${place}:d${id} ` : `d${id}v0 `;
const EXCEPTION_NAMES = {
  '4.1': [
    'divide error,debug,nmi,bkpt,overflow,bounds,invalid opcode,device not available,double fault,coprocessor segment',
    'invalid tss,segment not found,stack error,general protection fault,page fault,spurious interrupt,coprocessor error',
    'alignment check,machine check,simd error',
  ]
    .join()
    .split(','),
  '4.17': '#DE,#DB,NMI,#BP,#OF,#BR,#UD,#NM,#DF,CSO,#TS,#NP,#SS,#GP,#PF,SPV,#MF,#AC,#MC,#XM,#VE,#CP'.split(','),
} as const;
const hex4 = (n: number | bigint): string => hex(n).padStart(4, '0');

/** An exception as people call it: "invalid opcode (#UD)". */
export function exceptionName(vector: number): string {
  const [words, short] = [EXCEPTION_NAMES['4.1'][vector], EXCEPTION_NAMES['4.17'][vector]];
  return words === undefined ? `interrupt ${vector}` : `${words} (${short})`;
}
/** The guest has no handler: do_guest_trap and propagate_page_fault in 4.1, pv_inject_event in 4.17. */
export function printUnhandled(xen: Xen, vector: number, code: number, address: bigint | undefined): void {
  const name = EXCEPTION_NAMES[xen.generation][vector] ?? '???';
  if (xen.generation === '4.17') xen.print(`${prefix(xen, '')}Unhandled: vec ${vector}, ${name}[${hex4(code)}]`);
  else if (address === undefined)
    xen.print(`${prefix(xen, 'traps.c:481')}Unhandled ${name} fault/trap [#${vector}] on VCPU 0 [ec=${hex4(code)}]`);
  else xen.print(`d${xen.id}:v0: unhandled page fault (ec=${hex4(code).toUpperCase()})`);
  if (address !== undefined) showPageWalk(xen, address);
}

const LEVELS = [4, 3, 2, 1] as const;
/** show_page_walk: every entry on the way to an address in the tables that are loaded, and the pfn it names. */
export function showPageWalk(xen: Xen, at: bigint): void {
  xen.print(`Pagetable walk from ${hex16(at)}:`);
  if (!isCanonical(at)) return;
  let table = Number(xen.cpu.get(REG.cr3!) >> 12n);
  for (const level of LEVELS) {
    const index = Number((at >> BigInt(3 + 9 * level)) & 511n);
    const entry = xen.memory.read(paddrOf(asFrame(table), 8 * index), 8);
    const mfn = Number((entry >> 12n) & 0xff_ffff_ffffn);
    const large = (level === 2 || level === 3) && (entry & 0x80n) !== 0n;
    const pfn = xen.pfnOf(asFrame(mfn));
    const slot = `L${level}[0x${hex(index).padStart(3, '0')}]`;
    xen.print(` ${slot} = ${hex16(entry)} ${hex16(pfn)}${large ? ' (PSE)' : ''}`);
    if (!(entry & 1n) || large || mfn >= xen.frames) return;
    table = mfn;
  }
}

/** domain_crash_synchronous: called where there is no going on. `where` is the place in entry.S, the reason ours. */
export function domainCrashSync(xen: Xen, where: string, reason: string): void {
  if (xen.over) return;
  // 4.17 prints the address of its own code, too; there is none here.
  xen.print(`domain_crash_sync called from entry.S${xen.generation === '4.17' ? `: fault at ${where}` : ''}`);
  xen.crash(reason);
}
/** __domain_crash: who crashed, how its registers are, and what is on its stack. */
export function crashReport(xen: Xen): void {
  const { cpu, generation, id } = xen;
  const value = (name: string): string => hex16(cpu.get(REG[name]!));
  const selector = (name: string): string => hex4(cpu.get(REG[name]!));
  xen.print(`Domain ${id} (vcpu#0) crashed on cpu#0:`);
  xen.print(`----[ Xen-${generation}  x86_64  debug=y  Not tainted ]----`);
  xen.print('CPU:    0');
  xen.print(`RIP:    ${selector('cs')}:[<${value('rip')}>]`);
  const who = generation === '4.17' ? ` (d${id}v0)` : '';
  xen.print(`RFLAGS: ${value('rflags')}   EM: ${Number(xen.upcallMask)}   CONTEXT: pv guest${who}`);
  const row = (...names: string[]): void =>
    xen.print(names.map(name => `${`${name}:`.padEnd(5)}${value(name)}`).join('   '));
  row('rax', 'rbx', 'rcx');
  row('rdx', 'rsi', 'rdi');
  row('rbp', 'rsp', 'r8');
  row('r9', 'r10', 'r11');
  row('r12', 'r13', 'r14');
  row('r15', 'cr0', 'cr4');
  row('cr3', 'cr2');
  if (generation === '4.17')
    xen.print(`fsb: ${value('fs_base')}   gsb: ${value('gs_base')}   gss: ${value('kernel_gs_base')}`);
  xen.print(['ds', 'es', 'fs', 'gs', 'ss', 'cs'].map(name => `${name}: ${selector(name)}`).join('   '));
  showGuestStack(xen);
}

const STACK_LINES = 20; // debug_stack_lines
const STACK_WORDS_PER_LINE = 4;
const STACK_BYTES = 0x8000n; // of Xen's own stacks, STACK_SIZE
/** show_guest_stack: words from rsp on, to where a stack as large as Xen's would end. */
function showGuestStack(xen: Xen): void {
  const from = xen.cpu.get(REG.rsp!);
  xen.print(`Guest stack trace from rsp=${hex16(from)}:`);
  if (!isGuestAddress(from)) {
    xen.print('  Guest-inaccessible memory.');
    return;
  }
  let line = '';
  for (let i = 0n; i < BigInt(STACK_LINES * STACK_WORDS_PER_LINE); i++) {
    const at = from + 8n * i;
    if (((at - 1n) ^ (at + 7n)) & STACK_BYTES) break;
    const word = xen.guest.word(at);
    if (word === undefined) {
      if (line) xen.print(`  ${line}`);
      xen.print(`${i === 0n ? '  ' : '    '}Fault while accessing guest memory.`);
      return;
    }
    if (line.length === 17 * STACK_WORDS_PER_LINE) {
      xen.print(`  ${line}`);
      line = '';
    }
    line += ` ${hex16(word)}`;
  }
  xen.print(`  ${line || 'Stack empty.'}`);
}
