/**
 * The emulated processor against what a real one answered: every fixture of test/fixtures/cpu, registers, defined flags,
 * memory, and faults with vector, error code and cr2. What may differ stands in DIFFERENCES, with its reason; each must
 * occur, so that none outlives its cause.
 */
import { afterAll, expect, test } from 'vitest';
// @ts-expect-error plain JavaScript, no types
import { iterate } from '../../../tools/cpu/fixtures.mjs';
// @ts-expect-error plain JavaScript, no types
import { FAMILIES } from '../../../tools/cpu/forms.mjs';
// @ts-expect-error plain JavaScript, no types
import { describe, differences } from '../../../tools/cpu/replay.mjs';
import { DIFFERENCES } from './native-differences.js';
import { type Case, createRunner, type Result } from './runner.js';

interface Fixture {
  readonly form: string;
  readonly n: number;
  readonly case: Case;
  readonly expected: Result;
  readonly undefinedFlags: number;
  readonly undefinedRegs: number;
}
const SHOWN = 5;
const runner = createRunner();
const seen = new Set<string>();
const replayed = new Set<string>();

test.for(FAMILIES as string[])('%s: all as on the real processor', family => {
  replayed.add(family);
  const failures: string[] = [];
  let cases = 0;
  for (const f of iterate(`test/fixtures/cpu/${family}.bin.br`) as Iterable<Fixture>) {
    cases++;
    const actual = runner.run(f.case);
    if (actual.refused) {
      failures.push(`case ${f.n} of ${f.form}: not implemented: ${actual.refused}`);
      continue;
    }
    const different: string[] = differences(f.case, f.expected, actual, {
      flags: f.undefinedFlags,
      regs: f.undefinedRegs,
    });
    if (different.length === 0) continue;
    const known = runner.known(f.form, f.expected, actual);
    if (known) seen.add(known);
    else failures.push(`case ${f.n}\n${describe(f.case)}\n${different.join('\n')}\n`);
  }
  expect(cases).toBeGreaterThan(0);
  expect(failures.slice(0, SHOWN).join('\n\n'), `${failures.length} of ${cases} cases differ`).toBe('');
});

test.for(['alu', 'shift', 'muldiv', 'bits', 'atomic', 'move'])(
  '%s: the same in the handlers that leave no flags, where nobody reads them',
  family => {
    const failures: string[] = [];
    let cases = 0;
    for (const f of iterate(`test/fixtures/cpu/${family}.bin.br`) as Iterable<Fixture>) {
      if (f.expected.fault || !f.form.includes(' reg') || /tzcnt|lzcnt|popcnt/.test(f.form)) continue;
      const gpr = runner.runQuietly(f.case);
      if (!gpr) continue;
      cases++;
      const wrong = gpr.findIndex((value, n) => value !== f.expected.gpr[n] && !((f.undefinedRegs >> n) & 1));
      if (wrong >= 0) failures.push(`case ${f.n}, register ${wrong}\n${describe(f.case)}`);
    }
    expect(cases).toBeGreaterThan(300);
    expect(failures.slice(0, SHOWN).join('\n\n'), `${failures.length} of ${cases} cases differ`).toBe('');
  },
);

afterAll(() => {
  if (replayed.size < FAMILIES.length) return; // only some were asked for
  const unseen = DIFFERENCES.map(d => d.reason).filter(reason => !seen.has(reason));
  expect(unseen, 'known differences that no fixture shows').toEqual([]);
});
