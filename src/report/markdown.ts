/** For a comment on a pull request, or the summary of a step. GitHub takes 1 MiB there: what is longer is cut, and says so. */
import { countedText, type Finding, interesting, type Report, total } from './model.js';

const BYTES_MAX = 900_000;
const FINDINGS_SHOWN = 50;
/** Text inside a table or a heading. */
const inline = (s: string): string => s.replace(/[\\`*_{}[\]<>|#]/g, c => `\\${c}`).replace(/\s+/g, ' ');
/** A fence longer than any run of backticks inside. */
function fenced(language: string, lines: readonly string[]): string[] {
  const longest = Math.max(2, ...lines.flatMap(l => [...l.matchAll(/`+/g)].map(m => m[0].length)));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}${language}`, ...lines, fence];
}
const finding = (f: Finding): string[] => [
  `### ${inline(f.title)}`,
  '',
  ...(f.where ? [`in ${inline(f.where)}`, ''] : []),
  ...fenced(
    'diff',
    f.lines.map(l => `${l.sign === '~' ? '!' : l.sign} ${l.text}`),
  ),
  '',
  ...f.sections.flatMap(s => [
    `<details><summary>${s.title.replace(/[<>&]/g, ' ')}</summary>`,
    '',
    ...fenced(
      'text',
      s.lines.map(l => l.text),
    ),
    '</details>',
    '',
  ]),
];

export function markdown(report: Report): string[] {
  const { verb, files, findings, notes, counted, totals } = report;
  const out = [`## rewalk ${verb}: ${inline(report.summary)}`, ''];
  for (const [n, f] of files.entries())
    out.push(`- ${files.length === 2 ? `${'AB'[n]}: ` : ''}\`${f.name.replaceAll('`', "'")}\` ${inline(f.about)}`);
  out.push(...notes.map(n => `- ${inline(n)}`), '');
  if (total(report) > 0) out.push(`**${inline(countedText(counted))}**`, '');
  let bytes = 0;
  let shown = 0;
  for (const f of findings) {
    const lines = finding(f);
    bytes += Buffer.byteLength(lines.join('\n'));
    if (shown === FINDINGS_SHOWN || bytes > BYTES_MAX) break;
    shown++;
    out.push(...lines);
  }
  if (shown < findings.length) out.push(`and ${findings.length - shown} more places`, '');
  const rows = interesting(totals);
  if (rows.length > 0 && findings.length > 0) {
    out.push(`| totals that differ | ${files.length === 2 ? 'A | B' : 'number'} |`);
    out.push(`|---|${'---:|'.repeat(rows[0]!.values.length)}`);
    for (const { name, values } of rows) out.push(`| ${inline(name)} | ${values.join(' | ')} |`);
  }
  return out;
}
