/** rewalk check: does every rule of the system hold, and if not, which event broke one? And is it within its budgets? */
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { reasonOf, Trouble } from '../base/trouble.js';
import { hex } from '../base/u64.js';
import { finish, type Work } from '../base/work.js';
import { findPrinted, parseBudgets, type Spent, spend } from '../compare/budget.js';
import type { Event } from '../events/kinds.js';
import { eventJson, harmless, JSON_VERSION, lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';
import type { Finding, Line, Report } from '../report/model.js';
import { RULES } from '../rules/registry.js';
import type { Checked, Violation } from '../rules/system.js';
import { findEvent } from '../state/find.js';
import { parsePosition } from '../state/position.js';
import { Notes } from '../tui/notes.js';
import { eventOf, ticksOf } from '../views/at.js';
import { blameEvent } from '../views/blame.js';
import { blameJson, printBlame, whenText } from './ask.js';
import { json, out, paint } from './output.js';
import { type FormatOptions, formatOptions, writeReport } from './report.js';
import { withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options extends FormatOptions {
  readonly all?: true;
  readonly budget?: string;
}
const BUDGET_FILE = 'rewalk.budget.json';

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<files...>', 'recordings')
    .option('-a, --all', 'every violation, and what was broken only between two entries of a batch')
    .option('-b, --budget <file>', `budgets it must keep to (default: ${BUDGET_FILE}, if there is one here)`);
  formatOptions(command)
    .addHelpText(
      'after',
      `
The rules are over state alone: types, counts, page tables, roots. They must hold whenever the guest runs. Budgets say how
many hypercalls, batches, flushes, faults and page-table writes a run may cost, in total, between two bookmarks or printed
lines, or for every single fork, exec, process switch, fault or call; docs/ci.md has the file.
Exit code: 0 all hold, 1 one is broken, 2 the system has no rules and there is no budget.

  rewalk check run.rewalk
  rewalk check *.rewalk --budget rewalk.budget.json --junit check.xml
  rewalk check run.rewalk --all --json | jq -r .text`,
    )
    .action((files: string[], options: Options) =>
      run(async () => {
        let code = 0;
        for (const file of files) code = Math.max(code, await check(file, options));
        return code;
      }),
    );
};

/** What the budgets come to; none without a budget file. */
async function spentIn(source: Source, options: Options): Promise<Spent[]> {
  const file = options.budget ?? (existsSync(BUDGET_FILE) ? BUDGET_FILE : undefined);
  if (file === undefined) return [];
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Trouble(`${file}: ${reasonOf(error)}`);
  }
  const notes = Notes.of(source.name, source.count);
  function* place(at: string, after: number): Work<number> {
    if (!at.startsWith(PRINTED)) return parsePosition(at, source, notes.bookmarks).seq;
    const found = yield* findPrinted(source, at.slice(PRINTED.length), after);
    if (found < 0)
      throw new Trouble(`${file}: ${at}: ${source.name} has no such line${after < 0 ? '' : ` after #${after}`}`);
    return found;
  }
  return work('counting', spend(source, parseBudgets(file, text), place));
}
const PRINTED = 'console:';

const check = (file: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const rules = RULES.find(r => r.id === source.header.system);
    const spent = await spentIn(source, options);
    const over = spent.filter(s => s.seq >= 0);
    if (!rules?.check && spent.length === 0)
      throw new Trouble(
        `${file}: there are no rules for ${source.header.system}; there are for ${RULES.filter(r => r.check).map(r => r.id)}`,
      );
    const checked: Checked = rules?.check
      ? await work('checking', rules.check(source, options.all ?? false))
      : { rules: {}, events: source.count, violations: [], windows: [], counted: { violations: 0, windows: 0 } };
    const { violations, windows, counted, events } = checked;
    const shown = options.all ? violations : violations.slice(0, 1);
    const code = counted.violations + over.length > 0 ? 1 : 0;
    if (options.json) {
      for (const v of shown) json(findingJson(source, 'violation', v));
      if (options.all) for (const w of windows) json(findingJson(source, 'window', w));
      for (const { budget, ...s } of spent)
        json({ v: JSON_VERSION, what: 'budget', ...budget, ...s, kept: s.seq < 0, ...unitJson(source, s.unit) });
      json({
        v: JSON_VERSION,
        what: 'sum',
        violations: counted,
        windows: windows.length,
        overBudget: over.length,
        events,
        rules: checked.rules,
      });
      return code;
    }
    if (options.markdown || options.github || options.junit || options.sarif) {
      writeReport(reportOf(source, checked, shown, spent), options);
      return code;
    }
    for (const v of shown) print(source, checked.rules, v);
    if (options.all)
      for (const w of windows)
        out(`window ${whenText(source, w.seq)} to ${whenText(source, w.until)}: ${w.text} ${paint.dim(`(${w.rule})`)}`);
    for (const s of spent) {
      out(`${s.seq < 0 ? 'within' : paint.bold(paint.orange('over'))} budget: ${budgetText(s)}`);
      if (s.seq >= 0) {
        if (inUnit(source, s)) out(`  ${inUnit(source, s)}`);
        printBlame(source, blameEvent(source, s.seq));
      }
    }
    if (options.all && counted.violations > violations.length)
      out(`... and ${counted.violations - violations.length} more`);
    if (violations.length > 0 || !rules?.check) return code;
    out(`${Object.keys(checked.rules).length} rules hold at every return to the guest, over ${events} events`);
    for (const rule of Object.values(checked.rules)) out(paint.dim(`  ${rule}`));
    if (!options.all && counted.windows > 0)
      out(`broken between two entries of a batch, and whole again after it: ${counted.windows}; --all shows them`);
    return code;
  });

const budgetText = ({ budget, value, units, total = 0 }: Spent): string => {
  const { name, count, per, most } = budget;
  if (units === undefined) return `${name}: ${value} ${count}, at most ${most}`;
  if (units === 0) return `${name}: there was no ${per}`;
  const mean = Number((total / units).toFixed(1));
  return `${name}: ${value} ${count} in one ${per} (${mean} on average, ${units} of them), at most ${most}`;
};
/** The first fork, switch ... that had too many, in a line; '' where it says no more than the event's causes. */
function inUnit(source: Source, { budget, unit = -1 }: Spent): string {
  if (unit < 0) return '';
  const task = taskAt(source, unit);
  return `in the ${budget.per} at ${whenText(source, unit)}${task ? ` of ${task.name} (pid ${task.pid})` : ''}`;
}
function unitJson(source: Source, unit = -1): object {
  if (unit < 0) return {};
  const task = taskAt(source, unit);
  return { ticks: ticksOf(source, unit), ...(task ? { task } : {}) };
}
/** The task that ran at an event, as the last task event before it says. */
function taskAt(source: Source, seq: number): { readonly pid: number; readonly name: string } | undefined {
  const at = finish(findEvent(source, seq, -1, { kinds: ['task'] }));
  const e = at < 0 ? undefined : eventOf(source, at);
  return e?.kind === 'task' ? { pid: e.pid, name: harmless(e.name) } : undefined;
}

/** The same as a report, for the formats that machines read. */
function reportOf(source: Source, checked: Checked, shown: readonly Violation[], spent: readonly Spent[]): Report {
  const over = spent.filter(s => s.seq >= 0);
  const finding = (rule: string, title: string, seq: number): Finding => {
    const { event, causes, stack } = blameEvent(source, seq);
    const lines = [event, ...causes].map(
      (e, n): Line => ({ sign: n === 0 ? '!' : ' ', text: lineOf(e, source.lexicon) }),
    );
    return { rule, title, file: source.name, seq, where: stack.map(s => s.text).join(' < '), lines, sections: [] };
  };
  const all = checked.counted.violations + over.length;
  const byRule: Record<string, number> = {};
  for (const v of checked.violations) byRule[v.rule] = (byRule[v.rule] ?? 0) + 1;
  for (const s of over) byRule[`budget ${s.budget.name}`] = 1;
  return {
    verb: 'check',
    files: [{ name: source.name, about: `${source.header.system}/${source.header.guest}, ${source.count} events` }],
    summary: all === 0 ? 'every rule holds and every budget is kept' : `${all} broken`,
    notes: [],
    rules: { ...checked.rules, ...Object.fromEntries(spent.map(s => [`budget ${s.budget.name}`, budgetText(s)])) },
    findings: [
      ...shown.map(v => finding(v.rule, v.text, v.seq)),
      ...over.map(s => finding(`budget ${s.budget.name}`, `${budgetText(s)} ${inUnit(source, s)}`.trim(), s.seq)),
    ],
    counted: byRule,
    totals: [],
  };
}

function print(source: Source, rules: Readonly<Record<string, string>>, v: Violation): void {
  out(paint.bold(`${paint.orange('broken')}: ${rules[v.rule] ?? v.rule}`));
  out(`${v.text}`);
  out(paint.dim(`broken by ${whenText(source, v.seq)}, and the guest ran on after ${whenText(source, v.until)}`));
  printBlame(source, blameEvent(source, v.seq));
  out('');
}
const findingJson = (source: Source, what: string, v: Violation): object => ({
  v: JSON_VERSION,
  what,
  ...v,
  frame: hex(v.frame),
  blame: blameJson(blameEvent(source, v.seq), (e: Event) => eventJson(e, source.lexicon)),
});
