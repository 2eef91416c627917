/** For a person at a terminal: as `git diff` has it, with how things stood where the sides part. */
import { type Finding, interesting, type Line, type Report } from './model.js';

/** What colours a line; the identity where no colour is wanted. Signs say the same as colours. */
export interface Paints {
  readonly bold: (s: string) => string;
  readonly dim: (s: string) => string;
  readonly blue: (s: string) => string;
  readonly orange: (s: string) => string;
}
const plain = (s: string): string => s;
export const NO_PAINT: Paints = { bold: plain, dim: plain, blue: plain, orange: plain };

const lineText = ({ sign, text }: Line, paint: Paints): string => {
  const line = `${sign} ${text}`.trimEnd();
  return sign === '-' ? paint.orange(line) : sign === '+' ? paint.blue(line) : sign === ' ' ? line : paint.bold(line);
};
function findingText(f: Finding, paint: Paints): string[] {
  return [
    `${paint.bold(`@@ ${f.title} @@`)}${f.where ? ` ${paint.dim(f.where)}` : ''}`,
    ...f.lines.map(l => lineText(l, paint)),
    ...f.sections.flatMap(s => ['', paint.bold(`  ${s.title}`), ...s.lines.map(l => `  ${lineText(l, paint)}`)]),
    '',
  ];
}

/** Lines of text, without their ends. */
export function text(report: Report, paint: Paints = NO_PAINT): string[] {
  const { files, findings, notes, summary } = report;
  const out: string[] = [];
  if (findings.length > 0 && files.length === 2) {
    out.push(paint.bold(`--- A ${files[0]!.name}  ${files[0]!.about}`));
    out.push(paint.bold(`+++ B ${files[1]!.name}  ${files[1]!.about}`));
  }
  out.push(...notes.map(n => paint.dim(n)));
  for (const f of findings) out.push(...findingText(f, paint));
  const rows = interesting(report.totals);
  if (rows.length > 0 && findings.length > 0) {
    out.push(paint.bold(`totals that differ${' '.repeat(30)}${files.length === 2 ? 'A          B' : ''}`));
    for (const { name, values } of rows) {
      const change = values.length === 2 ? values[1]! - values[0]! : 0;
      const numbers = values.map(v => String(v).padStart(10)).join(' ');
      out.push(
        `  ${name.padEnd(38)} ${numbers} ${values.length === 2 ? `${change > 0 ? '+' : ''}${change}` : ''}`.trimEnd(),
      );
    }
    out.push('');
  }
  out.push(summary);
  return out;
}
