/** What diff, check and verify share: how a report is asked for and where it goes. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { reasonOf, Trouble } from '../base/trouble.js';
import type { Ignored } from '../compare/side.js';
import { KIND_NAMES, KINDS, type KindName } from '../events/kinds.js';
import { FORMATS, type Format } from '../report/formats.js';
import { markdown } from '../report/markdown.js';
import type { Report } from '../report/model.js';
import { text } from '../report/text.js';
import { flushOut, out, paint } from './output.js';

export interface FormatOptions {
  readonly json?: true;
  readonly markdown?: true;
  readonly github?: true;
  readonly junit?: true | string;
  readonly sarif?: true | string;
}
export const formatOptions = (command: Command): Command =>
  command
    .option('--json', 'one JSON object a line: findings, totals, the sum')
    .option('--markdown', 'as Markdown, for a comment on a pull request')
    .option('--github', 'one ::error for GitHub Actions; the rest goes to the summary of the step')
    .option('--junit [file]', 'as JUnit XML, to a file if one is named')
    .option('--sarif [file]', 'as SARIF 2.1.0, to a file if one is named');

const write = (file: string, lines: readonly string[], how: typeof writeFileSync | typeof appendFileSync): void => {
  try {
    how(file, `${lines.join('\n')}\n`);
  } catch (error) {
    throw new Trouble(`${file}: ${reasonOf(error)}`);
  }
};

/** Writes a report in every format asked for, as text if none is for stdout. */
export function writeReport(report: Report, options: FormatOptions): void {
  let printed = false;
  for (const name of Object.keys(FORMATS) as Format[]) {
    const to = options[name];
    if (to === undefined) continue;
    const lines = FORMATS[name](report);
    if (typeof to === 'string') {
      write(to, lines, writeFileSync);
      continue;
    }
    for (const line of lines) out(line);
    printed = true;
    if (name !== 'github') continue;
    const summary = process.env.GITHUB_STEP_SUMMARY;
    if (summary) write(summary, markdown(report), appendFileSync);
  }
  if (!printed) for (const line of text(report, paint)) out(line);
  flushOut();
}

const many = (value: string, before: readonly string[] = []): string[] => [...before, ...value.split(',')];
export interface IgnoreOptions {
  readonly ignore?: readonly string[];
  readonly with?: readonly string[];
}
export const ignoreOptions = (command: Command): Command =>
  command
    .addOption(
      new Option(
        '-i, --ignore <what>',
        'what makes no difference: a kind (console), a field (trap.error), function:NAME, path:walker; more than once, or with commas',
      ).argParser(many),
    )
    .addOption(
      new Option('-w, --with <kinds>', 'compare kinds that usually are not: regs, idle, store, step, fill').argParser(
        many,
      ),
    );

/** @throws Trouble on a kind or field that does not exist */
export function ignoredOf({ ignore = [], with: include = [] }: IgnoreOptions): Ignored {
  const out = {
    kinds: [] as KindName[],
    with: [] as KindName[],
    fields: [] as string[],
    functions: [] as string[],
    paths: [] as string[],
  };
  const kind = (name: string): KindName => {
    if (!(name in KINDS)) throw new Trouble(`no kind of event is called ${name}; there are ${KIND_NAMES.join(', ')}`);
    return name as KindName;
  };
  for (const what of ignore) {
    const [, about, name] = /^(function|path):(.+)$/.exec(what) ?? [];
    const [first, field] = what.split('.');
    if (about === 'function') out.functions.push(name!);
    else if (about === 'path') out.paths.push(name!);
    else if (field === undefined) out.kinds.push(kind(first!));
    else if (!(field in KINDS[kind(first!)].fields))
      throw new Trouble(`${first} has no field ${field}; it has ${Object.keys(KINDS[kind(first!)].fields).join(', ')}`);
    else out.fields.push(what);
  }
  out.with.push(...include.map(kind));
  return out;
}
export function contextArgument(value: string): number {
  if (!/^\d{1,3}$/.test(value)) throw new InvalidArgumentError('expected 0 to 999 events.');
  return Number(value);
}
