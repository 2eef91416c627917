/**
 * The same fixtures in regions of hot code: what becomes of a handler when its record is known and its registers are locals
 * must answer as the real processor too. Every form of every family, with as many of its cases as time allows.
 */
import { expect, test } from 'vitest';
// @ts-expect-error plain JavaScript, no types
import { iterate } from '../../../tools/cpu/fixtures.mjs';
// @ts-expect-error plain JavaScript, no types
import { FAMILIES } from '../../../tools/cpu/forms.mjs';
// @ts-expect-error plain JavaScript, no types
import { describe, differences } from '../../../tools/cpu/replay.mjs';
import { type Case, createRunner, type Result } from './runner.js';

interface Fixture {
  readonly form: string;
  readonly n: number;
  readonly case: Case;
  readonly expected: Result;
  readonly undefinedFlags: number;
  readonly undefinedRegs: number;
}
/** Of each form: each makes a WebAssembly module. */
const CASES = Number(process.env.REWALK_REGION_CASES ?? 6);
const runner = createRunner();

test.for(FAMILIES as string[])('%s: all as on the real processor, in regions', family => {
  const failures: string[] = [];
  const tried = new Map<string, number>();
  let cases = 0;
  for (const f of iterate(`test/fixtures/cpu/${family}.bin.br`) as Iterable<Fixture>) {
    const before = tried.get(f.form) ?? 0;
    if (before >= CASES) continue;
    tried.set(f.form, before + 1);
    const actual = runner.runInRegion(f.case);
    if (!actual) continue;
    cases++;
    const different: string[] = differences(f.case, f.expected, actual, {
      flags: f.undefinedFlags,
      regs: f.undefinedRegs,
    });
    if (different.length > 0 && !runner.known(f.form, f.expected, actual))
      failures.push(`case ${f.n}\n${describe(f.case)}\n${different.join('\n')}\n`);
  }
  expect(failures.slice(0, 5).join('\n\n'), `${failures.length} of ${cases} cases differ`).toBe('');
  // Some families are all SystemOps, or branches out of the page.
  if (/^(alu|shift|muldiv|bits|atomic|move|condition)$/.test(family)) expect(cases).toBeGreaterThan(100);
});
