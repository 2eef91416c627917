/** The registers, and which of them are new since the event before. */

import { asVaddr } from '../../base/brand.js';
import { hex16 } from '../../base/u64.js';
import type { RegisterValue } from '../../views/registers.js';
import { symbolAt } from '../../views/symbols.js';
import { registersOf } from '../instructions.js';
import { filled, type Line, line, span } from '../screen/text.js';
import type { Ui } from '../state.js';
import type { World } from '../world.js';

/** Shown even when zero, in this order; others only when they are not. */
const MAIN = 'rip rsp rflags rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15 cr2 cr3 cs ss'.split(' ');

/** Registers by the order of the pane; what the cursor there counts. */
export function registersShown(ui: Ui, world: World): RegisterValue[] {
  const all = registersOf(world, ui.at);
  const rank = (r: RegisterValue): number => {
    const n = MAIN.indexOf(r.register?.name ?? '');
    return n < 0 ? MAIN.length + r.number : n;
  };
  return all.filter(r => rank(r) < MAIN.length || r.value !== 0n).sort((a, b) => rank(a) - rank(b));
}
export function registerLines(ui: Ui, world: World): Line[] {
  const shown = registersShown(ui, world);
  const fresh = Math.max(-1, ...shown.map(r => r.asOf));
  const cursor = Math.min(ui.scroll.registers.cursor, shown.length - 1);
  return shown.map((r, n) => {
    const changed = r.asOf === fresh && (ui.at.sub === undefined ? ui.at.seq - fresh < 2 : r.sub === ui.at.sub);
    const near = r.value > 0xffffn ? symbolAt(world.source.symbols, asVaddr(r.value)) : undefined;
    const parts = [
      span(changed ? '*' : ' ', 'changed'),
      span((r.register?.name ?? String(r.number)).padEnd(7), 'dim'),
      span(hex16(r.value), changed ? 'changed' : 'plain'),
      span(r.asOf === ui.at.seq || changed ? '' : ` #${r.asOf}`, 'dim'),
      span(near ? ` ${near.name}${near.offset ? `+${near.offset.toString(16)}` : ''}` : '', 'symbol'),
    ];
    return n === cursor && ui.focus === 'registers' ? filled('selected', ...parts) : line(...parts);
  });
}
