/** rewalk verify: is every byte of the recording what its writer wrote, and does the machine do today what it did then? */
import type { Command } from 'commander';
import { paddrOf } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { JSON_VERSION, lineOf } from '../events/text.js';
import { openRecording } from '../recording/reader.js';
import type { Source } from '../recording/source.js';
import { verify as verifyFile } from '../recording/verify.js';
import type { Finding, Line, Report } from '../report/model.js';
import type { Divergence, Rerun } from '../session/verify.js';
import { eventOf } from '../views/at.js';
import { flushOut, json, out } from './output.js';
import { type FormatOptions, formatOptions, writeReport } from './report.js';
import { work } from './session.js';
import type { Verb } from './verb.js';

interface Options extends FormatOptions {
  readonly rerun?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<files...>', 'recordings')
    .option('-r, --rerun', 'run it again too: the same events must come, in the same order, with the same values');
  formatOptions(command)
    .addHelpText(
      'after',
      `
Exit code: 0 all good, 1 something is damaged or diverges, 2 not a recording, or nothing that can be run again.

  rewalk verify *.rewalk
  rewalk verify --rerun run.rewalk --junit verify.xml`,
    )
    .action((files: string[], options: Options) => run(() => verify(files, options)));
};

const RULES = {
  integrity: 'every byte is what its writer wrote',
  rerun: 'a re-run gives the same events',
};
/** Events shown before a divergence. */
const BEFORE = 5;

async function verify(files: readonly string[], options: Options): Promise<number> {
  const inText = !options.json && !options.markdown && !options.github && !options.junit && !options.sarif;
  const findings: Finding[] = [];
  const said: string[] = [];
  let code = 0;
  for (const file of files) {
    try {
      const v = await work(`checking ${file}`, verifyFile(file));
      if (v.damage) {
        findings.push({
          rule: 'integrity',
          title: `${file}: damaged at byte ${v.damage.offset}: ${v.damage.reason}`,
          file,
          seq: v.events,
          where: '',
          lines: [],
          sections: [],
        });
        code = Math.max(code, 1);
      }
      if (options.json && !options.rerun) json({ v: JSON_VERSION, file, ...v, damage: v.damage ?? null });
      said.push(
        v.damage
          ? `${file}: damaged at byte ${v.damage.offset}: ${v.damage.reason}; ${v.events} events before it are good`
          : `${file}: good: ${v.events} events in ${v.chunks} chunks, ${v.bytes} bytes${v.closed ? '' : ', not closed by its writer'}; ${v.chain}`,
      );
      if (options.rerun && !v.damage) {
        const source = openRecording(file);
        try {
          const again = await rerun(source);
          const d = again.divergence;
          if (d) findings.push(finding(source, d));
          else said.push(`${file}: run again: ${again.events} events from #${again.from} on are the same`);
          if (d) code = Math.max(code, 1);
        } finally {
          source.close();
        }
      }
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      process.stderr.write(`rewalk: ${error.message}\n`);
      code = 2;
    }
    if (inText) for (const line of said.splice(0)) out(line);
    flushOut();
  }
  const counted = {
    integrity: findings.filter(f => f.rule === 'integrity').length,
    ...(options.rerun ? { rerun: findings.filter(f => f.rule === 'rerun').length } : {}),
  };
  const report: Report = {
    verb: 'verify',
    files: files.map(name => ({ name, about: '' })),
    summary:
      findings.length > 0
        ? `${findings.length} of ${files.length} recordings are not as they should be`
        : code > 0
          ? 'not everything could be verified'
          : `${files.length} recording${files.length === 1 ? '' : 's'} verified`,
    notes: [],
    rules: options.rerun ? RULES : { integrity: RULES.integrity },
    findings: inText ? findings.filter(f => f.rule === 'rerun') : findings,
    counted,
    totals: [],
  };
  // Without --rerun the JSON is an object a file, and the text a line a file, as they always were.
  if (inText ? report.findings.length > 0 : !options.json || options.rerun) writeReport(report, options);
  return code;
}

async function rerun(source: Source): Promise<Rerun> {
  const { verifyByRerun } = await import('../session/verify.js').catch(error => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Trouble(`${source.name}: cannot be run again: this program was made without emulator`);
  });
  const { whyNoRerun } = await import('../session/may-rerun.js');
  const why = whyNoRerun(source);
  if (why) {
    const { system, isa, version } = source.header;
    throw new Trouble(`${source.name}: cannot be run again: ${why} (system ${system}, ${isa}, format ${version})`);
  }
  return work(`running ${source.name} again`, verifyByRerun(source));
}

const valueText = (v: unknown): string =>
  Array.isArray(v) ? `[${v.map(valueText).join(' ')}]` : typeof v === 'bigint' ? v.toString(16) : String(v);

function finding(source: Source, d: Divergence): Finding {
  const lines: Line[] = [];
  for (let seq = Math.max(0, d.seq - BEFORE); seq < d.seq; seq++)
    lines.push({ sign: ' ', text: lineOf(eventOf(source, seq), source.lexicon) });
  if (d.recorded) lines.push({ sign: '-', text: `recorded ${lineOf(d.recorded, source.lexicon)}` });
  if (d.rerun) lines.push({ sign: '+', text: `run again ${lineOf(d.rerun, source.lexicon)}` });
  lines.push({ sign: '~', text: `${d.field}: expected ${valueText(d.expected)}, actual ${valueText(d.actual)}` });
  const e = d.recorded;
  if (e?.kind === 'pte' || e?.kind === 'adopt') {
    const writer = source.index.lastSlotWrite(e.space, paddrOf(e.table, e.offset), d.seq);
    const text = writer < 0 ? 'nothing before' : lineOf(eventOf(source, writer), source.lexicon);
    lines.push({ sign: ' ', text: `the entry was last written by ${text}` });
  }
  return {
    rule: 'rerun',
    title: `${source.name}: the re-run diverges at #${d.seq}, field ${d.field}: expected ${valueText(d.expected)}, actual ${valueText(d.actual)}`,
    file: source.name,
    seq: d.seq,
    where: '',
    lines,
    sections: [],
  };
}
