// Writes test/fixtures/cpu: what this machine's processor does with seeded cases of every integer form.
//   node tools/cpu/make-fixtures.mjs [--seed 1] [--out test/fixtures/cpu] [--family NAME]
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeFixtures } from './fixtures.mjs';
import { FAMILIES, FORMS } from './forms.mjs';
import { makeCase } from './generate.mjs';
import { build, processorName, runNative } from './native.mjs';
import { differences } from './replay.mjs';
import { undefinedBy } from './undefined.mjs';

/** Cases a form; the others vary by little else than the registers. @type {Record<string, number>} */
const CASES = {
  trap: 2,
  fetch: 24,
  alu: 80,
  shift: 110,
  muldiv: 160,
  move: 100,
  condition: 64,
  bits: 110,
  atomic: 120,
  stack: 160,
  branch: 100,
  string: 200,
  x87: 50,
  'sse-move': 24,
  'sse-shuffle': 16,
  'sse-integer': 24,
  'sse-arithmetic': 120,
  'sse-compare': 90,
  'sse-convert': 90,
  'sse-approximate': 40,
  mmx: 40,
};

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, out: { type: 'string' }, family: { type: 'string' } },
});
const out = values.out ?? join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'test', 'fixtures', 'cpu');
const seed = Number(values.seed);
const built = build();
if ('reason' in built || !Number.isInteger(seed)) {
  process.stderr.write(
    `rewalk: cpu fixtures: ${'reason' in built ? built.reason : `--seed ${values.seed} is no number`}\n`,
  );
  process.exit(2);
}
mkdirSync(out, { recursive: true });
let total = 0;
for (const family of FAMILIES.filter(f => !values.family || f === values.family)) {
  const count = CASES[family] ?? 64;
  const made = FORMS.filter(f => f.family === family).flatMap(f =>
    Array.from({ length: count }, (_, n) => makeCase(f, seed, n)),
  );
  const cases = made.map(m => m.case);
  const results = runNative(cases);
  // Once more in another order: what depends on the neighbours is not the instruction's doing.
  const again = runNative(cases.toReversed()).reverse();
  const list = made.map((m, i) => {
    const expected = results[i];
    const undef = undefinedBy(m.form, m.case, expected, m);
    const bad = differences(m.case, expected, again[i]);
    if (bad.length) throw new Error(`${m.form.id}, case ${i % count}: not the same twice: ${bad.join('; ')}`);
    return { form: m.form.id, n: i % count, case: m.case, expected, undef };
  });
  const bytes = writeFixtures(family, seed, list);
  writeFileSync(join(out, `${family}.bin.br`), bytes);
  total += bytes.length;
  process.stdout.write(`${family}: ${made.length / count} forms, ${made.length} cases, ${bytes.length} bytes\n`);
}
writeFileSync(join(out, 'PROCESSOR.txt'), `${processorName()}\nseed ${seed}\n`);
process.stdout.write(`${total} bytes\n`);
