/** How things stood on one side where two recordings part: what happened, inside what, registers, walks, last writers. */
import { asVaddr, paddrOf, type Vaddr } from '../base/brand.js';
import { reasonOf, Trouble } from '../base/trouble.js';
import { hex, hex16 } from '../base/u64.js';
import type { Work } from '../base/work.js';
import type { Event } from '../events/kinds.js';
import { eventText, lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { blameEvent } from '../views/blame.js';
import { registersAt } from '../views/registers.js';
import { walk } from '../views/walk.js';

export interface Part {
  readonly title: string;
  readonly lines: readonly string[];
}
const SHOWN = new Set(['general', 'flags']);
const A_LINE = 4;
const WALKS_MAX = 2;
/** Below it there are numbers and flags, not addresses. */
const FIRST_ADDRESS = 0x1_0000n;

/** Virtual addresses that an event is about. */
function addressesOf(e: Event): Vaddr[] {
  const all = 'args' in e ? e.args.slice(0, 1) : 'at' in e && e.kind !== 'map' ? [e.at] : [];
  return all.filter(v => v >= FIRST_ADDRESS).map(asVaddr);
}

/** The state of `source` at event `seq`, which is where it parts from another recording. */
export function* sceneOf(source: Source, seq: number): Work<Part[]> {
  if (seq >= source.count) return [{ title: 'event', lines: ['the recording is over'] }];
  const { event, causes, stack, pc } = blameEvent(source, seq);
  const parts: Part[] = [
    {
      title: 'event',
      lines: [lineOf(event, source.lexicon), ...causes.map(c => `inside ${lineOf(c, source.lexicon)}`)],
    },
  ];
  const calls = [...(pc ? [pc] : []), ...stack];
  if (calls.length > 0) parts.push({ title: 'call stack', lines: calls.map(s => `${hex16(s.at)} ${s.text}`) });
  const registers = registersAt(source, { seq }, event.vcpu).filter(r => SHOWN.has(r.register?.group ?? ''));
  const lines: string[] = [];
  for (let n = 0; n < registers.length; n += A_LINE)
    lines.push(
      registers
        .slice(n, n + A_LINE)
        .map(r => `${r.register!.name.padStart(6)}=${hex16(r.value)}`)
        .join(' '),
    );
  if (lines.length > 0) parts.push({ title: 'registers', lines });
  const involved = [event, ...causes].flatMap(addressesOf).slice(0, WALKS_MAX);
  for (const at of involved) parts.push({ title: `walk of ${hex(at)}`, lines: yield* walkLines(source, at, seq) });
  if (event.kind === 'pte' || event.kind === 'adopt') {
    const writer = source.index.lastSlotWrite(event.space, paddrOf(event.table, event.offset), seq);
    parts.push({
      title: 'last writer of the entry before',
      lines: writer < 0 ? ['none'] : [`#${writer} ${eventText(blameEvent(source, writer).event, source.lexicon)}`],
    });
  }
  return parts;
}

function* walkLines(source: Source, at: Vaddr, seq: number): Work<string[]> {
  try {
    const { steps, verdict } = yield* walk(source, at, seq, { space: 'guest', role: 'kernel', vcpu: 0 });
    const lines = steps.map(
      s =>
        `${s.level}[${String(s.index).padStart(3)}] ${hex16(s.value)} ${s.flags}${s.writer < 0 ? '' : `, written #${s.writer}`}`,
    );
    return [
      ...lines,
      verdict.kind === 'mapped' ? `-> ${hex(verdict.paddr)} in frame ${hex(verdict.frame)}` : `stops: ${verdict.why}`,
    ];
  } catch (error) {
    if (error instanceof Trouble) return [reasonOf(error)];
    throw error;
  }
}
