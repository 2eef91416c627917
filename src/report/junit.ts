/** JUnit XML: a test case a rule, failed where it has findings. */
import { type Finding, type Report, total } from './model.js';
import { escapeXml as x } from './xml.js';

const findingsShown = 100;
const body = (f: Finding): string => [`#${f.seq} ${f.title}`, ...f.lines.map(l => `${l.sign} ${l.text}`)].join('\n');

export function junit(report: Report): string[] {
  const rules = [...new Set([...Object.keys(report.rules), ...Object.keys(report.counted)])];
  const failed = rules.filter(r => (report.counted[r] ?? 0) > 0);
  const counts = `tests="${rules.length}" failures="${failed.length}" errors="0"`;
  const name = `rewalk ${report.verb}`;
  const classname = x(`${report.verb}.${report.files.map(f => f.name).join(' ')}`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${name}" ${counts} time="0">`,
    `  <testsuite name="${x(`${name} ${report.files.map(f => f.name).join(' ')}`)}" ${counts} skipped="0" time="0">`,
    ...rules.flatMap(rule => {
      const open = `    <testcase classname="${classname}" name="${x(rule)}" time="0"`;
      const found = report.findings.filter(f => f.rule === rule || f.also?.includes(rule));
      const n = report.counted[rule] ?? 0;
      if (n === 0) return [`${open}/>`];
      const text = found.slice(0, findingsShown).map(body).join('\n\n');
      return [
        `${open}>`,
        `      <failure type="${x(rule)}" message="${x(found[0]?.title ?? `${n} found`)}">${x(text)}</failure>`,
        '    </testcase>',
      ];
    }),
    `    <system-out>${x(`${report.summary} (${total(report)} found)`)}</system-out>`,
    '  </testsuite>',
    '</testsuites>',
  ];
}
