/** The address space as ranges; against the mark, or what the last event changed in it. */

import { hex, hex16 } from '../../base/u64.js';
import type { Work } from '../../base/work.js';
import { compareSpaces, type Mapped } from '../../compare/moments.js';
import { NO_FRAME } from '../../events/kinds.js';
import { permissionText, sizeText } from '../../report/words.js';
import { formatOf } from '../../state/formats.js';
import { type RootAt, rootAt } from '../../views/slots.js';
import { spaceMap } from '../../views/spaces.js';
import { type Line, line, type Span, span } from '../screen/text.js';
import type { Ui } from '../state.js';
import type { World } from '../world.js';

const QUERY = { space: 'guest', role: 'kernel' } as const;
const dim = (text: string): Line => line(span(text, 'dim'));

export function* spaceLines(ui: Ui, world: World): Work<Line[]> {
  const { source } = world;
  const format = formatOf(source, QUERY.space);
  if (!format) return [dim('the recording names no page-table format')];
  const root = yield* rootAt(source, QUERY, ui.at.seq);
  if (root.frame === NO_FRAME) return [dim('no root table is loaded yet')];
  if (ui.mark !== undefined && ui.mark !== ui.at.seq) return yield* comparison(ui, world, root);
  const state = yield* world.timeline.seek(ui.at.seq);
  const map = yield* spaceMap(state, QUERY.space, format, { at: root.at }, source.lexicon);
  const lines = [dim(`root ${hex(root.frame)}  ${sizeText(map.bytes)} through ${map.tables} tables`)];
  let region: string | undefined;
  for (const r of map.ranges) {
    if (r.region !== region) lines.push(line(span(`─ ${(region = r.region) ?? ''}`, 'bold')));
    const level = format.levels.find(l => l.number === r.level)?.name ?? `L${r.level}`;
    lines.push(
      line(
        span(`${hex16(r.from)} `),
        span(sizeText(r.bytes).padStart(6), 'bold'),
        span(` ${permissionText(r.permissions)} `, r.permissions.write ? 'added' : 'plain'),
        span(level, 'dim'),
      ),
    );
  }
  if (map.truncated) lines.push(dim('… more entries than anybody reads'));
  return lines;
}

function* comparison(ui: Ui, world: World, root: RootAt): Work<Line[]> {
  const { source, timeline } = world;
  const format = formatOf(source, QUERY.space)!;
  const other = yield* rootAt(source, QUERY, ui.mark!);
  if (other.frame === NO_FRAME) return [dim(`no root table is loaded at #${ui.mark}, the mark`)];
  const before = { space: QUERY.space, root: { at: other.at }, state: yield* timeline.snapshot(ui.mark!) };
  const after = { space: QUERY.space, root: { at: root.at }, state: yield* timeline.snapshot(ui.at.seq) };
  const found = yield* compareSpaces(source, format, before, after);
  const lines = [dim(`root ${hex(other.frame)} at #${ui.mark}  against  root ${hex(root.frame)} at #${ui.at.seq}`)];
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
