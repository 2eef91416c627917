/** The pane that follows the selection: one topic at a time, each a function of the moment and of what is selected. */
import { asVaddr, type Frame, type Vaddr } from '../../base/brand.js';
import { hex, hex16 } from '../../base/u64.js';
import type { Work } from '../../base/work.js';
import { causeAt, eventAt } from '../../events/block.js';
import { type Event, KINDS } from '../../events/kinds.js';
import { callName, wordOf } from '../../events/lexicon.js';
import { eventText } from '../../events/text.js';
import { frameText, permissionText } from '../../report/words.js';
import { findEvent } from '../../state/find.js';
import { formatOf, isaOfSource } from '../../state/formats.js';
import { blameEvent } from '../../views/blame.js';
import { frameAt } from '../../views/frame.js';
import { ledger } from '../../views/ledger.js';
import { mappersAt } from '../../views/mappers.js';
import { lastRegisterWrite } from '../../views/registers.js';
import { symbolText } from '../../views/symbols.js';
import { walk } from '../../views/walk.js';
import { thing } from '../actions/move.js';
import { FORMS } from '../breaks.js';
import { type Line, line, span, wrapped } from '../screen/text.js';
import { commandText } from '../shell.js';
import type { Thing, Topic, Ui } from '../state.js';
import type { World } from '../world.js';
import { codeLines } from './code.js';
import { viewQuery } from './space.js';

/** `width` is what running text is wrapped to. */
type TopicLines = (ui: Ui, world: World, width: number) => Work<Line[]>;

const dim = (text: string): Line => line(span(text, 'dim'));
const heading = (text: string): Line => line(span(text, 'bold'));
const START: Line[] = [dim('before the first event')];
const EFFECTS_SHOWN = 200;

/** The event: what it is, what it happened inside, what it did, the stack. */
function* event(ui: Ui, world: World, width: number): Work<Line[]> {
  if (ui.at.seq < 0) return START;
  const { source } = world;
  const { event: e, causes, pc, stack, arrivedWithAdopt } = blameEvent(source, ui.at.seq);
  const note = world.notes.at(e.seq);
  const lines = [
    ...(note ? wrapped(note.text, width - 2).map((t, n) => line(span(n === 0 ? '● ' : '  ', 'key'), t)) : []),
    line(span(KINDS[e.kind].doc, 'dim')),
    line(span(`#${e.seq} @${e.ticks} `, 'dim'), eventText(e, source.lexicon)),
    ...causes.map(c => line(span(`  inside #${c.seq} `, 'dim'), eventText(c, source.lexicon))),
  ];
  if (arrivedWithAdopt)
    lines.push(dim('  its entries were there before: plain stores wrote them, which a re-run can name'));
  if (pc) lines.push(heading('stack'), line(span(`  ${hex16(pc.at)} `, 'dim'), span(pc.text, 'symbol')));
  for (const s of stack) lines.push(line(span(`  ${hex16(s.at)} `, 'dim'), span(s.text, 'symbol')));
  const effects = effectsOf(world, e);
  if (effects.length > 0)
    lines.push(heading(`caused ${effects.length === EFFECTS_SHOWN ? 'at least ' : ''}${effects.length}`));
  for (const effect of effects) lines.push(line(span(`  #${effect.seq} `, 'dim'), eventText(effect, source.lexicon)));
  return lines;
}
/** Events whose cause is `e`; they follow closely. Only those are decoded. */
function effectsOf({ source, last }: World, e: Event): Event[] {
  const found: Event[] = [];
  for (let seq = e.seq + 1; seq <= Math.min(last, e.seq + 4096) && found.length < EFFECTS_SHOWN; ) {
    const block = source.chunk(source.chunkOf(seq));
    for (; seq < block.first + block.count && found.length < EFFECTS_SHOWN; seq++)
      if (causeAt(block, seq - block.first) === e.seq) found.push(eventAt(block, seq - block.first));
  }
  return found;
}

/** The page walk of the selected address, or of what the selected entry maps. */
const walkTopic: TopicLines = function* (ui, world) {
  const about = thing(ui, world);
  const at = about?.kind === 'address' ? about.at : registerAddress(ui, world, about);
  if (at === undefined) return [dim('select an address or a register: the walk of it is shown here')];
  const w = yield* walk(world.source, at, ui.at.seq, viewQuery(ui.view));
  const lines = [line('walk of ', span(hex16(at), 'bold'), span(` from root ${frameText(w.root.frame)}`, 'dim'))];
  for (const s of w.steps)
    lines.push(
      line(
        span(`${s.level}[${s.index}] `.padEnd(10), 'bold'),
        `${hex16(s.value)} ${s.flags}`,
        span(s.writer < 0 ? '  never written' : `  #${s.writer} @${s.writerTicks}`, 'dim'),
      ),
    );
  const v = w.verdict;
  if (v.kind === 'mapped')
    lines.push(line(span('mapped ', 'added'), `frame ${hex(v.frame)} ${permissionText(v.permissions)}`));
  else lines.push(line(span('stops ', 'warning'), `at ${v.level}: ${v.why}`));
  return lines;
};
function registerAddress(ui: Ui, world: World, about: Thing | undefined): Vaddr | undefined {
  const number = about?.kind === 'register' ? about.number : isaOfSource(world.source)?.roles.pc;
  if (number === undefined || ui.at.seq < 0) return undefined;
  const found = lastRegisterWrite(world.source, 0, number, ui.at.seq);
  return found && asVaddr(found.value);
}

/** The account of the selected frame. */
const frameTopic: TopicLines = function* (ui, world) {
  const frame = frameOf(ui, world);
  if (frame === undefined) return [dim('select a frame or an entry: its account is shown here')];
  const { source } = world;
  const lines = [line('frame ', span(hex(frame), 'bold'))];
  for (const n of frameAt(source, frame, ui.at.seq)) {
    if (n.since < 0) continue;
    const value = n.kind === 'type' ? wordOf(source.lexicon, 'frameType', n.value) : String(n.value);
    lines.push(line(`  ${n.kind.padEnd(10)}`, span(value.padEnd(10), 'bold'), span(`#${n.since}`, 'dim')));
  }
  const entries = yield* ledger(source, frame, ui.at.seq);
  if (entries.length > 0) lines.push(heading('ledger'));
  for (const e of entries.slice(-1000)) {
    const value = (n: number): string => (e.kind === 'type' ? wordOf(source.lexicon, 'frameType', n) : String(n));
    const cause = e.causes[0];
    lines.push(
      line(
        span(e.neverRepaid ? '! ' : '  ', 'warning'),
        span(`#${e.seq} `.padEnd(10), 'dim'),
        `${e.kind.padEnd(10)}${value(e.old)} → ${value(e.new)}`,
        span(cause ? `  by #${cause.seq} ${eventText(cause, source.lexicon)}` : '', 'dim'),
      ),
    );
  }
  return lines;
};
function frameOf(ui: Ui, world: World): Frame | undefined {
  const about = thing(ui, world);
  if (about?.kind === 'frame') return about.frame;
  const e = ui.at.seq >= 0 ? world.event(ui.at.seq) : undefined;
  if (e?.kind !== 'pte') return undefined;
  const entry = formatOf(world.source, e.space)
    ?.levels.find(l => l.number === e.level)
    ?.decode(e.new);
  return entry && entry.kind !== 'none' ? (Math.floor(entry.at / 4096) as Frame) : e.table;
}

/** Who maps the frame now. */
const mappers: TopicLines = function* (ui, world) {
  const frame = frameOf(ui, world);
  if (frame === undefined) return [dim('select a frame or an entry: who maps it is shown here')];
  const found = yield* mappersAt(world.source, 'guest', frame, ui.at.seq);
  return [
    line('mapped by ', span(String(found.length), 'bold'), ` entries: frame ${hex(frame)}`),
    ...found.map(m =>
      line(`  L${m.level} slot ${hex(m.at)} ${m.flags}`, span(`  #${m.since} @${m.sinceTicks}`, 'dim')),
    ),
  ];
};

/** The batch that the position is in: what was queued, where, and what came of each entry. */
const batch: TopicLines = function* (ui, world) {
  if (ui.at.seq < 0) return START;
  const { source } = world;
  const chain = [world.event(ui.at.seq), ...blameEvent(source, ui.at.seq).causes];
  const around = chain.find(e => e.kind === 'batch' || e.kind === 'call');
  if (!around) return [dim('not inside a call or a batch')];
  const lines = [line(span(`#${around.seq} `, 'dim'), span(eventText(around, source.lexicon), 'bold'))];
  for (let seq = around.seq + 1; seq <= Math.min(world.last, around.seq + 100_000); seq++) {
    const e = world.event(seq);
    if (e.cause < around.seq && e.kind !== 'regs') break; // whatever surrounds it went on
    if (seq % 4096 === 0) yield { done: seq - around.seq, total: 100_000 };
    if (e.kind === 'entry' && e.cause === around.seq) {
      const where = e.stack ? symbolText(source.symbols, source.stack(e.stack)[0]!) : '';
      lines.push(
        line(
          span(chain.some(c => c.seq === e.seq) ? '▸' : ' ', 'key'),
          span(`${String(e.index).padStart(3)} `, 'bold'),
          `${callName(source.lexicon, e.class, e.number)} [${e.args.map(hex).join(' ')}]`,
          span(where ? `  queued by ${where}${e.queued ? ` @${e.queued}` : ''}` : '', 'symbol'),
        ),
      );
    } else if (e.kind === 'result')
      lines.push(line('    ', span(`= ${hex(e.value)}`, BigInt.asIntN(64, e.value) < 0n ? 'warning' : 'dim')));
    else if (e.kind === 'pte') lines.push(line(span(`      #${e.seq} ${eventText(e, source.lexicon)}`, 'dim')));
  }
  return lines;
};

/** Where the guest was: innermost first. */
const stack: TopicLines = function* (ui, world) {
  if (ui.at.seq < 0) return START;
  const { pc, stack: lines, stackOf } = blameEvent(world.source, ui.at.seq);
  if (!pc && lines.length === 0) return [dim('no stack is known here')];
  const at = stackOf >= 0 && stackOf !== ui.at.seq ? [dim(`recorded at #${stackOf}`)] : [];
  const all = pc ? [pc, ...lines] : lines;
  return [
    ...at,
    ...all.map((s, n) => line(span(`${String(n).padStart(2)} ${hex16(s.at)} `, 'dim'), span(s.text, 'symbol'))),
  ];
};

/** What was printed up to now. */
const LINES_KEPT = 500;
const consoleTopic: TopicLines = function* (ui, world) {
  const lines: Line[] = [];
  let at = ui.at.seq;
  while (lines.length < LINES_KEPT) {
    const seq: number = yield* findEvent(world.source, at, -1, { kinds: ['console'] });
    if (seq < 0) break;
    const e = world.event(seq);
    if (e.kind === 'console')
      for (const text of e.text.replace(/\n$/, '').split('\n').reverse())
        lines.push(
          line(
            span(`${e.from === 'host' ? '(host) ' : ''}`, 'warning'),
            span(text, e.from === 'host' ? 'warning' : 'plain'),
          ),
        );
    at = seq - 1;
  }
  return lines.length > 0 ? lines.reverse() : [dim('nothing was printed yet')];
};

/** What a verb answered, under the command that asks the same in a shell. */
const answer: TopicLines = function* (ui, _, width) {
  if (!ui.answer) return [dim('nothing was asked yet: w asks why, : asks any verb')];
  return [
    heading(`$ ${commandText(ui.answer.command)}`),
    ...ui.answer.lines.flatMap(text => wrapped(text, width, '    ')).map(text => line(text)),
  ];
};
const breaks: TopicLines = function* (ui) {
  if (ui.breaks.length > 0) return ui.breaks.map(text => line(span('■ ', 'warning'), text));
  return [dim('no break is set; B sets one:'), ...FORMS.map(f => dim(`  ${f.says}`))];
};

const TOPIC_LINES: Readonly<Record<Topic, TopicLines>> = {
  event,
  walk: walkTopic,
  frame: frameTopic,
  mappers,
  batch,
  code: codeLines,
  stack,
  console: consoleTopic,
  answer,
  breaks,
};
export const detailLines = (ui: Ui, world: World, { width }: { width: number }): Work<Line[]> =>
  TOPIC_LINES[ui.topic](ui, world, width);
