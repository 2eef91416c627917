/** The address spaces of two recordings at one moment: which addresses mean something else, whatever frames are behind them. */
import type { Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import { NO_FRAME } from '../events/kinds.js';
import type { Permissions } from '../isa/isa.js';
import type { Source } from '../recording/source.js';
import { createTimeline } from '../state/timeline.js';
import { rootAt } from '../views/slots.js';
import { type SpaceRange, spaceMap } from '../views/spaces.js';
import { needFormat } from '../views/walk.js';

/** A range of addresses that is the same throughout on each side. */
export interface AcrossRange {
  readonly sign: '+' | '-' | '~';
  readonly from: Vaddr;
  readonly bytes: bigint;
  /** Permissions and level on either side, `none` where nothing is mapped. */
  readonly before: string;
  readonly after: string;
}

const meaning = ({ write, user, execute, global }: Permissions, level: number): string =>
  `${write ? 'RW' : 'ro'}${user ? ' USER' : ''} ${execute ? 'x' : 'NX'}${global ? ' GLB' : ''} L${level}`;

function* rangesAt(source: Source, seq: number): Work<readonly SpaceRange[]> {
  const root = yield* rootAt(source, { space: 'guest' }, seq);
  if (root.frame === NO_FRAME) return [];
  const state = yield* createTimeline(source).snapshot(seq);
  const { ranges } = yield* spaceMap(state, 'guest', needFormat(source, 'guest'), { at: root.at }, source.lexicon);
  return ranges;
}

/** What is different in the guest's loaded address space, just after event seqA of one and seqB of the other. */
export function* compareAcross(a: Source, seqA: number, b: Source, seqB: number): Work<AcrossRange[]> {
  const [ra, rb] = [yield* rangesAt(a, seqA), yield* rangesAt(b, seqB)];
  const end = (r: SpaceRange): bigint => r.from + r.bytes;
  const edges = [...new Set([...ra, ...rb].flatMap(r => [r.from as bigint, end(r)]))].sort((x, y) => (x < y ? -1 : 1));
  const out: AcrossRange[] = [];
  let [i, j] = [0, 0];
  for (const [n, from] of edges.slice(0, -1).entries()) {
    while (i < ra.length && end(ra[i]!) <= from) i++;
    while (j < rb.length && end(rb[j]!) <= from) j++;
    const at = (r: SpaceRange | undefined): string => (r && r.from <= from ? meaning(r.permissions, r.level) : 'none');
    const [before, after] = [at(ra[i]), at(rb[j])];
    if (before === after) continue;
    const bytes = edges[n + 1]! - from;
    const last = out.at(-1);
    if (last && last.from + last.bytes === from && last.before === before && last.after === after)
      out[out.length - 1] = { ...last, bytes: last.bytes + bytes };
    else
      out.push({
        sign: before === 'none' ? '+' : after === 'none' ? '-' : '~',
        from: from as Vaddr,
        bytes,
        before,
        after,
      });
  }
  return out;
}
