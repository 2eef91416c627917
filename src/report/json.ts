/** One JSON object a line, each with the version: findings, then totals, then what it sums up to. */
import { JSON_VERSION } from '../events/text.js';
import { type Report, total } from './model.js';

export function json(report: Report): string[] {
  const { verb, files, summary, notes, counted, findings, totals, rules } = report;
  const line = (what: string, rest: object): string => JSON.stringify({ v: JSON_VERSION, verb, what, ...rest });
  return [
    ...findings.map(f => line('finding', f)),
    ...totals.map(t => line('total', t)),
    line('sum', { files, summary, notes, rules, counted, found: total(report) }),
  ];
}
