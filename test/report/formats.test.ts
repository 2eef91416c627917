/**
 * The formats as those who read them see them: elements, attributes, counts that add up, references that hold. Whether they are
 * valid by their schemas is in schemas.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { finish } from '../../src/base/work.js';
import { GUESTS, recordingOf } from '../../src/cli/built-in.js';
import { compareRecordings } from '../../src/compare/recordings.js';
import { NOTHING_IGNORED } from '../../src/compare/side.js';
import { openRecording } from '../../src/recording/reader.js';
import { diffReport } from '../../src/report/diff.js';
import { FORMATS } from '../../src/report/formats.js';
import type { Report } from '../../src/report/model.js';
import { text } from '../../src/report/text.js';

const opened = (name: string) => openRecording(recordingOf(GUESTS.find(g => g.name === name)!));
function reportOn(a: string, b: string): Report {
  const [x, y] = [opened(a), opened(b)];
  const report = finish(diffReport(x, y, finish(compareRecordings(x, y)), { context: 2, ignored: NOTHING_IGNORED }));
  // Paths are of this machine.
  return JSON.parse(JSON.stringify(report).replaceAll(/"[^"]*\/(recordings\/[^"]*)"/g, '"$1"'));
}
const different = reportOn('xen/user-pagetables', 'xen/user-pagetables-broken');
const same = reportOn('xen/user-pagetables', 'xen/user-pagetables');
/** What a guest may print, and a file may be called. */
const nasty: Report = {
  ...different,
  files: [{ name: 'a,b:c%\n`<&>"\'.rewalk', about: ']]>' }],
  findings: [
    {
      ...different.findings[0]!,
      file: 'a,b:c%\n<&>"\'.rewalk',
      title: '\u0000\u001b[31m ]]> <b>| ``` &amp; \ud800',
      lines: [{ sign: '-', text: '```\n::error::x <script>' }],
    },
  ],
};

/** A small reader of XML that refuses what is not well formed. */
interface Element {
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly children: Element[];
}
function parseXml(xml: string): Element {
  expect(xml).not.toMatch(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/);
  const root: Element = { name: '', attributes: {}, children: [] };
  const open = [root];
  const token = /<\?xml [^?]*\?>|<\/([\w-]+)>|<([\w-]+)((?: [\w-]+="[^"<]*")*)(\/?)>|([^<]+)/gy;
  let at = 0;
  for (let m = token.exec(xml); m; m = token.exec(xml)) {
    at = token.lastIndex;
    if (m[1]) expect(open.pop()!.name).toBe(m[1]);
    else if (m[2]) {
      const attributes = Object.fromEntries([...m[3]!.matchAll(/([\w-]+)="([^"]*)"/g)].map(a => [a[1]!, a[2]!]));
      const element = { name: m[2], attributes, children: [] };
      open.at(-1)!.children.push(element);
      if (!m[4]) open.push(element);
    }
    for (const entity of m[0].match(/&[^;]*;?/g) ?? []) expect(entity).toMatch(/^&(#\d+|amp|lt|gt|quot|apos);$/);
  }
  expect(at).toBe(xml.length);
  expect(open).toEqual([root]);
  expect(root.children.length).toBe(1);
  return root.children[0]!;
}

describe('a report', () => {
  it.for([different, same, nasty])('in JUnit is well formed, and its counts add up', report => {
    const suites = parseXml(`${FORMATS.junit(report).join('\n')}\n`);
    expect(suites.name).toBe('testsuites');
    for (const suite of suites.children) {
      expect(suite.name).toBe('testsuite');
      const cases = suite.children.filter(c => c.name === 'testcase');
      for (const c of cases) {
        expect(c.attributes.name && c.attributes.classname).toBeTruthy();
        expect(c.children.every(f => f.name === 'failure' && 'message' in f.attributes && 'type' in f.attributes)).toBe(
          true,
        );
      }
      expect(Number(suite.attributes.tests)).toBe(cases.length);
      expect(Number(suite.attributes.failures)).toBe(cases.filter(c => c.children.length > 0).length);
      expect(suite.children.filter(c => c.name !== 'testcase').map(c => c.name)).toEqual(['system-out']);
    }
  });
  it.for([different, same, nasty])('in SARIF has what 2.1.0 requires, and rules that its results refer to', report => {
    const log = JSON.parse(FORMATS.sarif(report).join('\n'));
    expect(log).toMatchObject({ version: '2.1.0', runs: [{ tool: { driver: { name: 'rewalk' } } }] });
    const { rules } = log.runs[0].tool.driver;
    expect(new Set(rules.map((r: { id: string }) => r.id)).size).toBe(rules.length);
    expect(log.runs[0].results.length).toBe(report.findings.length);
    for (const r of log.runs[0].results) {
      expect(rules[r.ruleIndex].id).toBe(r.ruleId);
      expect(['none', 'note', 'warning', 'error']).toContain(r.level);
      expect(typeof r.message.text).toBe('string');
      for (const l of r.locations) expect(l.physicalLocation.artifactLocation.uri).toMatch(/^[\w%.~!*'()/-]+$/);
    }
  });
  it.for([different, same, nasty])('for GitHub is one command on one line', report => {
    const lines = FORMATS.github(report);
    expect(lines.length).toBe(1);
    expect(lines[0]).not.toMatch(/[\r\n]/);
    expect(lines[0]).toMatch(/^::(error file=[^:,]*,title=[^:,]*|notice title=[^:,]*)::/);
  });
  it.for([different, same, nasty])('in JSON is one object a line, each with its version', report => {
    for (const line of FORMATS.json(report)) expect(JSON.parse(line).v).toBe(1);
  });
  it('in Markdown fits into the summary of a step, whatever its length, and no guest closes its fences', () => {
    const long: Report = { ...different, findings: Array.from({ length: 5000 }, () => different.findings[0]!) };
    expect(Buffer.byteLength(FORMATS.markdown(long).join('\n'))).toBeLessThan(2 ** 20);
    const body = FORMATS.markdown(nasty).join('\n');
    expect(body).toContain('````diff\n- ```');
  });
  it.for([
    ['xen/user-pagetables', 'xen/user-pagetables-broken'],
    ['xen/early-pagetable-reverted', 'xen/early-pagetable-crash'],
    ['xen/early-pagetable-workaround', 'xen/early-pagetable-reuse'],
  ] as const)('tells %s and %s apart as it did when somebody read it', async ([a, b]) => {
    const name = `${a}-and-${b.split('/')[1]}`.replace('/', '-');
    await expect(`${text(reportOn(a, b)).join('\n')}\n`).toMatchFileSnapshot(`golden/${name}.txt`);
  });
  it('of the same recordings says so, and nothing else', () => {
    expect(text(same)).toEqual([expect.stringMatching(/^no difference: \d+ and \d+ events$/)]);
  });
});
