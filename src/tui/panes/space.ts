/** The address space as ranges; against the mark, or what the last event changed in it. */

import { asVaddr, paddrOf, type Vaddr } from '../../base/brand.js';
import { hex, hex16 } from '../../base/u64.js';
import type { Work } from '../../base/work.js';
import type { Mapped } from '../../compare/moments.js';
import { NO_FRAME } from '../../events/kinds.js';
import type { PagingFormat, Permissions } from '../../isa/isa.js';
import type { Source } from '../../recording/source.js';
import { permissionText, sizeText } from '../../report/words.js';
import { formatOf } from '../../state/formats.js';
import { type RootAt, rootAt } from '../../views/slots.js';
import { addressOf, regionNamesOfPages } from '../../views/spaces.js';
import { unpackPermissions } from '../../views/tables.js';
import { type WalkQuery, walk } from '../../views/walk.js';
import { RANGE_NUMBERS } from '../maps.js';
import { type Line, type Lines, line, linesMade, type Span, span } from '../screen/text.js';
import { type SpaceView, sameView, type Ui, viewText } from '../state.js';
import type { Task } from '../task.js';
import type { World } from '../world.js';

const dim = (text: string): Line => line(span(text, 'dim'));
const PAGES_SHOWN = 512;

/** The root that a view means at a moment. */
export function* rootOf(source: Source, view: SpaceView, seq: number): Work<RootAt> {
  if (view.root === undefined) return yield* rootAt(source, view, seq);
  return { frame: view.root, at: paddrOf(view.root), since: -1, from: 'given' };
}

export function* spaceLines(ui: Ui, world: World): Task<Lines> {
  const { source } = world;
  const { view } = ui;
  const format = formatOf(source, view.space);
  if (!format) return [dim(`the recording names no page-table format of ${view.space} tables`)];
  const root = yield* rootOf(source, view, ui.at.seq);
  if (root.frame === NO_FRAME) return [dim(`no root of the ${viewText(view)} is loaded`)];
  if (ui.mark !== undefined && !(ui.mark === ui.at.seq && sameView(view, ui.markView)))
    return yield* comparison(ui, ui.mark, world, root);
  const at = { seq: ui.at.seq, space: view.space, root: root.at };
  const { numbers, tables, truncated } = yield* world.maps.ask({ kind: 'ranges', at });
  /** Lines, or where the numbers of a range are, which becomes a line when it is looked at. */
  const rows: (Line | number)[] = [];
  const regionOf = regionNamesOfPages(source.lexicon, format);
  let region: string | undefined;
  let pages = 0;
  for (let n = 0; n < numbers.length; n += RANGE_NUMBERS) {
    const page = numbers[n]!;
    pages += numbers[n + 1]!;
    const name = regionOf(page);
    if (name !== region) rows.push(line(span(`─ ${(region = name) ?? ''}`, 'bold')));
    rows.push(n);
    if (ui.expanded !== undefined && ui.expanded === addressOf(format, page))
      rows.push(...(yield* pageLines(ui, world, root, rangeOf(format, numbers, n))));
  }
  rows.unshift(dim(`root ${hex(root.frame)}  ${sizeText(BigInt(pages) << 12n)} through ${tables} tables`));
  if (truncated) rows.push(dim('… more entries than anybody reads'));
  return linesMade(rows.length, n => {
    const row = rows[n]!;
    return typeof row === 'number' ? rangeLine(rangeOf(format, numbers, row)) : row;
  });
}
interface Range {
  readonly from: Vaddr;
  readonly pages: number;
  readonly pagesEach: number;
  readonly permissions: Permissions;
  readonly level: string;
}
function rangeOf(format: PagingFormat, numbers: Float64Array, n: number): Range {
  const level = numbers[n + 3]!;
  return {
    from: addressOf(format, numbers[n]!),
    pages: numbers[n + 1]!,
    pagesEach: numbers[n + 2]!,
    permissions: unpackPermissions(numbers[n + 4]!),
    level: format.levels.find(l => l.number === level)?.name ?? `L${level}`,
  };
}
const rangeLine = ({ from, pages, permissions, level }: Range): Line =>
  line(
    span(`${hex16(from)} `),
    span(sizeText(BigInt(pages) << 12n).padStart(6), 'bold'),
    span(` ${permissionText(permissions)} `, permissions.write ? 'added' : 'plain'),
    span(level, 'dim'),
  );
/** The pages of a range one by one: what each maps to, and who last wrote its entry. */
function* pageLines(ui: Ui, world: World, root: RootAt, range: Range): Work<Line[]> {
  const lines: Line[] = [];
  const pages = range.pages / range.pagesEach;
  for (let n = 0; n < Math.min(pages, PAGES_SHOWN); n++) {
    const at = asVaddr(range.from + BigInt(n * range.pagesEach * 4096));
    const w = yield* walk(world.source, at, ui.at.seq, { ...viewQuery(ui.view), root: root.frame });
    const last = w.steps.at(-1);
    const what = w.verdict.kind === 'mapped' ? `frame ${hex(w.verdict.frame)}` : w.verdict.why;
    const writer = last && last.writer >= 0 ? `  entry ${hex(last.slot)} #${last.writer}` : '';
    lines.push(line(span(`  ${hex16(at)} `), what, span(writer, 'dim')));
    yield { done: n, total: pages };
  }
  if (pages > PAGES_SHOWN) lines.push(dim(`  … and ${pages - PAGES_SHOWN} more pages`));
  return lines;
}
export const viewQuery = ({ space, role, root }: SpaceView): WalkQuery =>
  root === undefined ? { space, role } : { space, role, root };

function* comparison(ui: Ui, mark: number, world: World, root: RootAt): Task<Line[]> {
  const { source } = world;
  const { view, markView } = ui;
  const format = formatOf(source, view.space)!;
  if (formatOf(source, markView.space) !== format)
    return [dim(`${viewText(markView)} and ${viewText(view)} have different formats: no comparison`)];
  const other = yield* rootOf(source, markView, mark);
  if (other.frame === NO_FRAME) return [dim(`no root of the ${viewText(markView)} is loaded at the mark`)];
  const before = { seq: mark, space: markView.space, root: other.at };
  const after = { seq: ui.at.seq, space: view.space, root: root.at };
  const found = yield* world.maps.ask({ kind: 'compare', before, after });
  const where = (frame: number, seq: number): string => `root ${hex(frame)} at ${seq < 0 ? 'start' : `#${seq}`}`;
  const lines = [dim(`${where(other.frame, mark)}  against  ${where(root.frame, ui.at.seq)}`)];
  if (found.differences.length === 0) lines.push(dim('no difference'));
  const side = (m: Mapped | undefined): string =>
    m ? `${permissionText(m.permissions).replace(/ +/g, ' ').trim()} ${hex(m.frame)}` : '';
  const styles = { '+': 'added', '-': 'removed', '~': 'changed' } as const;
  for (const d of found.differences) {
    const what: Span[] =
      d.before && d.after ? [span(`${side(d.before)} → ${side(d.after)}`)] : [span(side(d.after ?? d.before))];
    lines.push(
      line(
        span(`${d.sign} ${hex16(d.from)} ${sizeText(d.bytes).padStart(6)} `, styles[d.sign]),
        ...what,
        span(d.writer >= 0 ? `  #${d.writer}` : '', 'dim'),
      ),
    );
  }
  return lines;
}
