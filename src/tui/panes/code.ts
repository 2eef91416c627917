/** Instructions around the current one, from memory as the checkpoints have it. */
import { asFrame, asVaddr, type Frame } from '../../base/brand.js';
import { hex16 } from '../../base/u64.js';
import type { Work } from '../../base/work.js';
import { disassemble } from '../../isa/disassemble.js';
import { isaOfSource } from '../../state/formats.js';
import { symbolAt } from '../../views/symbols.js';
import { walk } from '../../views/walk.js';
import { registersOf } from '../instructions.js';
import { filled, type Line, line, span } from '../screen/text.js';
import type { Ui } from '../state.js';
import type { World } from '../world.js';

const SHOWN_BYTES = 160;
const PAGE = 4096n;
const dim = (text: string): Line[] => [line(span(text, 'dim'))];

export function* codeLines(ui: Ui, world: World): Work<Line[]> {
  const { source } = world;
  const pcRegister = isaOfSource(source)?.roles.pc;
  const pc =
    pcRegister === undefined || ui.at.seq < 0
      ? undefined
      : registersOf(world, ui.at).find(r => r.number === pcRegister);
  if (!pc) return dim('where the guest is was not recorded yet');
  const at = asVaddr(pc.value);
  const symbol = symbolAt(source.symbols, at);
  // From the symbol on, so that instructions are cut where they begin; without one only from the instruction itself.
  const from = symbol && symbol.offset < SHOWN_BYTES ? at - BigInt(symbol.offset) : at;
  const bytes: number[] = [];
  for (let page = from - (from % PAGE); page < from + BigInt(SHOWN_BYTES) && bytes.length < SHOWN_BYTES; page += PAGE) {
    const w = yield* walk(source, asVaddr(page), ui.at.seq, { space: 'guest', role: 'kernel' });
    const data =
      w.verdict.kind === 'mapped' ? pageAt(world, asFrame(Math.floor(w.verdict.paddr / 4096)), ui.at.seq) : undefined;
    if (!data) break;
    const begin = page < from ? Number(from - page) : 0;
    bytes.push(...data.subarray(begin, Math.min(4096, begin + SHOWN_BYTES - bytes.length)));
  }
  if (bytes.length === 0) return dim(`the code at ${hex16(at)} is in no checkpoint; a re-run would show it`);
  const lines: Line[] = symbol ? [line(span(symbol.name, 'bold'))] : [];
  const name = (to: bigint): string | undefined => {
    const s = symbolAt(source.symbols, asVaddr(to));
    return s && `${s.name}${s.offset ? `+0x${s.offset.toString(16)}` : ''}`;
  };
  for (const insn of disassemble(Uint8Array.from(bytes), asVaddr(from), name)) {
    const parts = [span(`${hex16(insn.at)}  `, 'dim'), span(insn.text)];
    lines.push(insn.at === at ? filled('selected', ...parts) : line(...parts));
  }
  return lines;
}

/** A page as the last checkpoint at or before `seq` that has it. */
function pageAt(world: World, frame: Frame, seq: number): Uint8Array | undefined {
  const { source } = world;
  let n = source.checkpoints.findLastIndex(c => c.seq <= seq + 1);
  const hash = n < 0 ? undefined : source.pageHash(n, frame);
  if (hash === undefined) return undefined;
  while (n > 0 && source.pageHash(n - 1, frame) === hash) n--;
  const known = world.pages.get(hash);
  if (known) return known;
  for (const [number, bytes] of source.checkpoint(n).pages) if (number === frame) return world.keepPage(hash, bytes);
  return undefined;
}
