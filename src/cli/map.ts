/** rewalk map: an address space as ranges, or what changed in it. */
import type { Command } from 'commander';
import type { Frame } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { hex, hex16, hex16OfPage } from '../base/u64.js';
import { type Comparison, compareSpaces, type Mapped, type Side } from '../compare/moments.js';
import { NO_FRAME } from '../events/kinds.js';
import { JSON_VERSION } from '../events/text.js';
import type { PagingFormat } from '../isa/isa.js';
import type { Source } from '../recording/source.js';
import { tablesAt } from '../state/tables-at.js';
import { createTimeline } from '../state/timeline.js';
import { rootOfProcess } from '../views/process.js';
import { rootAt } from '../views/slots.js';
import { addressNumberOf, regionNamesOfPages, type SpaceRun, spaceMap, spaceRuns } from '../views/spaces.js';
import { unpackPermissions } from '../views/tables.js';
import { needFormat } from '../views/walk.js';
import {
  permissionText,
  placeText,
  sizeText,
  type TableOptions,
  tableOptions,
  whenText,
  wholePosition,
} from './ask.js';
import { fit, json, out, paint } from './output.js';
import { countArgument, frameArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

type Options = TableOptions & {
  readonly diff?: string;
  readonly diffRoot?: Frame;
  readonly process?: number;
  readonly diffProcess?: number;
  readonly frames?: true;
  readonly json?: true;
};

type Asked = TableOptions & Pick<Options, 'process'>;

export const define: Verb['define'] = (command: Command, run): void => {
  tableOptions(command)
    .argument('<file>', 'recording')
    .argument('[position]', 'when', 'end')
    .option('-D, --diff <position>', 'what is different at this other position')
    .option(
      '--diff-root <frame>',
      'compare with the address space under this root (at --diff, or at the same position)',
      frameArgument,
    )
    .option('-p, --process <pid>', 'of this process of the guest, instead of the one that runs', countArgument)
    .option('--diff-process <pid>', 'compare with this process (at --diff, or at the same position)', countArgument)
    .option('-f, --frames', 'with target frames, ranges split where they do not follow each other')
    .option('--json', 'one JSON object a range')
    .addHelpText(
      'after',
      `
Ranges read like Linux's page-table dump. A comparison has + for what appeared, - for what went, ~ for what changed,
each with the event that last wrote it, and exits with 1 if there is any difference.

  rewalk map run.rewalk 50%
  rewalk map run.rewalk '#1200' --diff '#1300'
  rewalk map run.rewalk end --root 1a3 --diff-root 2b7     two processes at one moment
  rewalk map boot.rewalk 90% --process 1 --diff-process 57     what fork shares, and what each has written to since`,
    )
    .action((file: string, position: string, options: Options) => run(() => map(file, position, options)));
};

const map = (file: string, position: string, options: Options): Promise<number> =>
  withRecording(file, source => {
    const seq = wholePosition(position, source, 'map');
    return options.diff !== undefined || options.diffRoot !== undefined || options.diffProcess !== undefined
      ? diff(source, seq, options)
      : ranges(source, seq, options);
  });

async function rootOf(source: Source, seq: number, options: Asked): Promise<Side['root']> {
  if (options.root !== undefined) return options.root;
  if (options.process !== undefined)
    return work('looking for the process', rootOfProcess(source, options.space, options.process, seq));
  const root = await work('looking for the root', rootAt(source, options, seq));
  if (root.frame === NO_FRAME)
    throw new Trouble(
      `${source.name}: no ${options.space} root table is loaded at ${placeText(source, { seq })}; name one with --root`,
    );
  return { at: root.at };
}
const rootText = (root: Side['root']): string => hex(typeof root === 'number' ? root : Math.floor(root.at / 4096));

async function ranges(source: Source, seq: number, options: Options): Promise<number> {
  const format = needFormat(source, options.space);
  const root = await rootOf(source, seq, options);
  const state = await work('going there', tablesAt(source, seq));
  const limits = options.frames ? { frames: true } : {};
  if (options.json) {
    const all = spaceMap(state, options.space, format, root, source.lexicon, limits);
    for (const r of (await work('walking tables', all)).ranges)
      json({
        v: JSON_VERSION,
        from: `0x${hex(r.from)}`,
        bytes: `0x${hex(r.bytes)}`,
        level: r.level,
        ...r.permissions,
        ...(options.frames ? { frame: hex(r.frame) } : {}),
        region: r.region ?? null,
      });
    return 0;
  }
  const found = await work('walking tables', spaceRuns(state, options.space, format, root, limits));
  const pages = found.runs.reduce((sum, run) => sum + run.pages, 0);
  out(
    `root ${rootText(root)} at ${placeText(source, { seq })}: ${pagesText(pages)} mapped through ${found.tables} tables`,
  );
  const regionOf = regionNamesOfPages(source.lexicon, format);
  let region: string | undefined;
  for (const run of found.runs) {
    const now = regionOf(run.page);
    if (now !== region) out(paint.bold(`---[ ${(region = now) ?? ''} ]---`));
    const frame = options.frames ? ` ${hex(Math.floor(run.target / 4096))}` : '';
    out(fit(runText(format, run) + frame));
  }
  if (found.truncated) out('... cut: more entries than anybody reads');
  return 0;
}

const pagesText = (pages: number): string => sizeText(BigInt(pages) << 12n);
/** A range as ptdump prints it. Of numbers, not bigints: a new process that writes 15,000 lines is seen to. */
function runText(format: PagingFormat, { page, pages, level, permissions }: SpaceRun): string {
  const from = addressNumberOf(format, page);
  const size = pagesText(pages).padStart(6);
  return `${hex16OfPage(from)}-${hex16OfPage(from + pages * 4096)} ${size} ${permissionText(unpackPermissions(permissions))} ${level.name}`;
}

async function diff(source: Source, seq: number, options: Options): Promise<number> {
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
