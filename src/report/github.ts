/**
 * Workflow commands of GitHub Actions. A step may show ten annotations, and a wall of them helps nobody: one error names the
 * first finding; the rest is for the step's summary (the markdown form).
 */
import { type Report, total } from './model.js';

const data = (s: string): string => s.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (s: string): string => data(s).replaceAll(':', '%3A').replaceAll(',', '%2C');

export function github(report: Report): string[] {
  const first = report.findings[0];
  if (!first) return [`::notice title=${property(`rewalk ${report.verb}`)}::${data(report.summary)}`];
  const more = total(report) > 1 ? `\n${report.summary}` : '';
  const body = first.lines.map(l => `${l.sign} ${l.text}`).join('\n');
  return [
    `::error file=${property(first.file)},title=${property(`rewalk ${report.verb}: ${first.rule} at #${first.seq}`)}::${data(`${first.title}\n${body}${more}`)}`,
  ];
}
