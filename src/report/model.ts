/**
 * A report as plain data: what diff, check and verify found. Each format is a file of its own that turns it into text; none
 * asks a recording anything.
 */
export interface Line {
  /** As in a diff: - only in A, + only in B, ~ what is different, ! what is wrong. */
  readonly sign: ' ' | '-' | '+' | '~' | '!';
  readonly text: string;
}
export interface Section {
  readonly title: string;
  readonly lines: readonly Line[];
}
export interface Finding {
  /** One of the report's rules. */
  readonly rule: string;
  /** Other rules that are broken in the same place. */
  readonly also?: readonly string[];
  /** One line that says what. */
  readonly title: string;
  /** The recording it is in, and the event. */
  readonly file: string;
  readonly seq: number;
  /** Where in the guest, '' if that is not known. */
  readonly where: string;
  readonly lines: readonly Line[];
  /** How things stood there; of the first finding only. */
  readonly sections: readonly Section[];
}
/** Numbers side by side; what is not there is 0. */
export interface Row {
  readonly name: string;
  readonly values: readonly number[];
}
export interface Report {
  readonly verb: 'diff' | 'check' | 'verify';
  /** The recordings, with what is to be said of each. */
  readonly files: readonly { readonly name: string; readonly about: string }[];
  /** One line for all of it. */
  readonly summary: string;
  /** What is to be known beforehand: settings that do not match, and the like. */
  readonly notes: readonly string[];
  /** A sentence for each rule that was looked at. */
  readonly rules: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
  /** How many findings there were of each rule; more than are listed, perhaps. */
  readonly counted: Readonly<Record<string, number>>;
  readonly totals: readonly Row[];
}

export const total = (report: Report): number => Object.values(report.counted).reduce((a, b) => a + b, 0);
/** `2 missing, 1 value` */
export const countedText = (counted: Report['counted']): string =>
  Object.entries(counted)
    .filter(([, n]) => n > 0)
    .map(([rule, n]) => `${n} ${rule}`)
    .join(', ');
/** The rows in which the files differ, all of them where there is only one. */
export const interesting = (rows: readonly Row[]): Row[] =>
  rows.filter(({ values }) => values.length < 2 || values.some(v => v !== values[0]));
