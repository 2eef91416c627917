/** rewalk map --diff: what changed in an address space, or what is different in another. */
import { hex, hex16 } from '../base/u64.js';
import { type Comparison, compareSpaces, type Mapped, type Side } from '../compare/moments.js';
import { JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { createTimeline } from '../state/timeline.js';
import { needFormat } from '../views/walk.js';
import { permissionText, placeText, sizeText, whenText, wholePosition } from './ask.js';
import { type Asked, type Options, rootOf, rootText } from './map.js';
import { json, out, paint } from './output.js';
import { work } from './session.js';

export async function diff(source: Source, seq: number, options: Options): Promise<number> {
  const timeline = createTimeline(source, { tablesOnly: true });
  const format = needFormat(source, options.space);
  const other = options.diff === undefined ? seq : wholePosition(options.diff, source, 'map --diff');
  const side = async (at: number, ask: Asked): Promise<Side> => ({
    space: options.space,
    root: await rootOf(source, at, ask),
    state: await work('going there', timeline.snapshot(at)),
  });
  const a = await side(seq, options);
  const b = await side(other, otherSide(options));
  const found = await work('comparing', compareSpaces(source, format, a, b));
  if (options.json) printJson(found);
  else {
    out(`--- root ${rootText(a.root)} at ${placeText(source, { seq })}`);
    out(`+++ root ${rootText(b.root)} at ${placeText(source, { seq: other })}`);
    printText(source, found);
  }
  return found.differences.length > 0 ? 1 : 0;
}

/** What the other side of a comparison is: the same table or process, unless one is named for it. */
function otherSide(options: Options): Asked {
  const { root, process: pid, diffRoot, diffProcess, ...rest } = options;
  if (diffRoot !== undefined) return { ...rest, root: diffRoot };
  if (diffProcess !== undefined) return { ...rest, process: diffProcess };
  if (root !== undefined) return { ...rest, root };
  return pid === undefined ? rest : { ...rest, process: pid };
}

const sideText = (m: Mapped | undefined): string =>
  m ? `${permissionText(m.permissions).replace(/ +/g, ' ').trim()} L${m.level} ${hex(m.frame)}` : '';

function printText(source: Source, found: Comparison): void {
  const colour = { '+': paint.blue, '-': paint.orange, '~': paint.bold };
  for (const d of found.differences) {
    const what = d.before && d.after ? `${sideText(d.before)} -> ${sideText(d.after)}` : sideText(d.after ?? d.before);
    out(
      `${colour[d.sign](`${d.sign} ${hex16(d.from)}-${hex16(d.from + d.bytes)} ${sizeText(d.bytes).padStart(6)}`)} ${what}  ${paint.dim(`written ${whenText(source, d.writer)}`)}`,
    );
  }
  if (found.truncated) out('... cut: more entries than anybody reads');
}
function printJson(found: Comparison): void {
  const side = (m: Mapped | undefined): unknown =>
    m ? { level: m.level, ...m.permissions, frame: hex(m.frame) } : null;
  for (const d of found.differences)
    json({
      v: JSON_VERSION,
      sign: d.sign,
      from: `0x${hex(d.from)}`,
      bytes: `0x${hex(d.bytes)}`,
      before: side(d.before),
      after: side(d.after),
      region: d.region ?? null,
      slot: `0x${hex(d.slot)}`,
      writer: d.writer,
    });
}
