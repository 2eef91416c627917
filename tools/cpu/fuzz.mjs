// Fresh cases on this machine's processor and on an adapter, until the time is up; failures are made small and printed.
//   node tools/cpu/fuzz.mjs --adapter FILE [--seed N] [--minutes M] [--form TEXT]
// FILE exports createRunner(): Runner (replay.mjs), or a promise of one. Exit code 1 if there were failures.
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { FORMS } from './forms.mjs';
import { makeCase } from './generate.mjs';
import { build, tryNative } from './native.mjs';
import { describe, differences } from './replay.mjs';
import { shrink } from './shrink.mjs';
import { undefinedBy } from './undefined.mjs';

/** @typedef {import('./layout.mjs').Case} Case */
/** @typedef {import('./layout.mjs').Result} Result */
/** @typedef {import('./forms.mjs').Form} Form */
/** @typedef {import('./generate.mjs').Made} Made */
/** @typedef {import('./replay.mjs').Runner} Runner */
/**
 * @typedef {{ form: string, seed: number, n: number, case: Case, reasons: string[] }} Failure the smallest case found
 */
/**
 * @typedef {{ cases: number, failures: Failure[], refused: Map<string, string>, known: Map<string, number> }} Report
 *   refused: forms not implemented, and why; known: cases for each reason of the runner's `known`
 */

/**
 * @param {Runner} runner under test
 * @param {object} options
 * @param {number} options.seed
 * @param {readonly Form[]=} options.forms
 * @param {number} options.each cases of each form in a round
 * @param {(round: number) => boolean} options.more whether to begin another round
 * @param {(failure: Failure) => void=} options.onFailure
 * @returns {Report} at most one failure a form: the rest of its cases are left out
 */
export function fuzz(runner, { seed, forms = FORMS, each, more, onFailure }) {
  /** @type {Report} */
  const report = { cases: 0, failures: [], refused: new Map(), known: new Map() };
  const failed = new Set();
  for (let round = 0; more(round); round++) {
    const left = forms.filter(f => !failed.has(f.id) && !report.refused.has(f.id));
    const made = left.flatMap(f => Array.from({ length: each }, (_, i) => makeCase(f, seed, round * each + i)));
    const all = compare(
      runner,
      made.map(m => m.case),
      made,
    );
    report.cases += made.length;
    for (const [i, m] of made.entries()) {
      const outcome = all[i];
      if (outcome?.known) report.known.set(outcome.known, (report.known.get(outcome.known) ?? 0) + 1);
      if (outcome?.refused !== undefined) report.refused.set(m.form.id, outcome.refused);
      if (!outcome?.reasons.length || failed.has(m.form.id)) continue;
      failed.add(m.form.id);
      const kind = kindOf(outcome.reasons);
      const still = (/** @type {Case[]} */ cases) =>
        compare(
          runner,
          cases,
          cases.map(() => m),
        ).map(o => kindOf(o.reasons) === kind);
      const least = shrink(m.case, still);
      const reasons = compare(runner, [least], [m])[0]?.reasons ?? [];
      const failure = { form: m.form.id, seed, n: round * each + (i % each), case: least, reasons };
      report.failures.push(failure);
      onFailure?.(failure);
    }
  }
  return report;
}

/** What went wrong first, without values: shrinking must not slip to another failure. @param {string[]} reasons */
const kindOf = reasons => reasons[0]?.split(/ at |:/)[0];

/**
 * @param {Runner} runner @param {Case[]} cases @param {Made[]} made what each case came from
 * @returns {{ reasons: string[], refused?: string, known?: string }[]}
 */
function compare(runner, cases, made) {
  const native = tryNative(cases);
  const actual = runner.runAll ? runner.runAll(cases) : cases.map(c => runner.run(c));
  return cases.map((c, i) => {
    const expected = native[i];
    const got = actual[i];
    if (got?.refused !== undefined) return { reasons: [], refused: got.refused };
    if (typeof expected !== 'object' || !got) return { reasons: [] }; // a shrunk case the processor cannot tell about
    const m = /** @type {Made} */ (made[i]);
    const reasons = differences(c, expected, got, undefinedBy(m.form, c, expected, m));
    const known = reasons.length ? runner.known?.(m.form.id, expected, got) : undefined;
    return known ? { reasons: [], known } : { reasons };
  });
}

async function main() {
  const { values } = parseArgs({
    options: {
      adapter: { type: 'string' },
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '1' },
      form: { type: 'string', default: '' },
    },
  });
  const built = build();
  const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
  const forms = FORMS.filter(f => f.id.includes(values.form));
  const why =
    'reason' in built
      ? built.reason
      : !values.adapter
        ? 'needs --adapter FILE'
        : !Number.isInteger(seed) || !(minutes > 0)
          ? '--seed takes an integer, --minutes a number'
          : forms.length === 0
            ? `no form has '${values.form}' in its name`
            : '';
  if (why) {
    process.stderr.write(`rewalk: cpu fuzz: ${why}\n`);
    process.exit(2);
  }
  const { createRunner } = await import(pathToFileURL(values.adapter ?? '').href);
  const end = Date.now() + minutes * 60_000;
  const { cases, failures, refused, known } = fuzz(await createRunner(), {
    seed,
    forms,
    each: 8,
    more: () => Date.now() < end,
    onFailure: f =>
      process.stdout.write(`seed ${f.seed}, case ${f.n}\n${describe(f.case)}\n  ${f.reasons.join('\n  ')}\n\n`),
  });
  for (const [reason, count] of known) process.stdout.write(`known, ${count} cases: ${reason}\n`);
  for (const [form, reason] of refused) process.stdout.write(`not implemented: ${form}: ${reason}\n`);
  process.stdout.write(
    `seed ${seed}: ${cases} cases, ${failures.length} forms fail, ${refused.size} are not implemented\n`,
  );
  process.exit(failures.length ? 1 : 0);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
