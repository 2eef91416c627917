/** rewalk explain: what a line of the hypervisor's log means; no recording needed. */
import { type Command, Option } from 'commander';
import { Trouble } from '../base/trouble.js';
import { hex, hex16 } from '../base/u64.js';
import type { Work } from '../base/work.js';
import { eventAt } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import { harmless, JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { RULES } from '../rules/registry.js';
import type { Explanation } from '../rules/system.js';
import { blameEvent } from '../views/blame.js';
import { printBlame, whenText } from './ask.js';
import { flushOut, json, out, paint } from './output.js';
import { withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly generation?: string;
  readonly in?: string;
  readonly json?: true;
}

const GENERATIONS = RULES.flatMap(r => r.generations ?? []);

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('[line...]', 'the line; without one, lines are read from a pipe')
    .addOption(
      new Option('-g, --generation <version>', 'how type words are laid out, where that is not recognised').choices(
        GENERATIONS,
      ),
    )
    .option('-i, --in <file>', 'and show where this recording has the message')
    .option('--json', 'one JSON object a line that means something')
    .addHelpText(
      'after',
      `
Lines that are no message about a guest's memory management are passed over. A message that comes again is explained once.
Exit code: 0 something was explained (and found, with --in), 1 nothing was.

  rewalk explain 'mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)'
  xl dmesg | rewalk explain`,
    )
    .action((line: string[], options: Options) => run(() => explain(line.join(' '), options)));
};

const LINE_MOST = 4096;

/** Lines of the pipe; what is longer than any message is cut. */
async function* pipedLines(): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!.slice(0, LINE_MOST);
    for (const line of lines) yield line.slice(0, LINE_MOST);
  }
  if (rest) yield rest;
}

function explained(line: string, { generation }: Options): Explanation | undefined {
  for (const rules of RULES) {
    const found = rules.explain?.(line, { generation });
    if (found) return found;
  }
  return undefined;
}

async function explain(given: string, options: Options): Promise<number> {
  if (!given && process.stdin.isTTY) throw new Trouble('explain: give a line, or pipe a log into it');
  const known = new Set<string>();
  const first: Explanation[] = [];
  let read = 0;
  for await (const line of given ? [given] : pipedLines()) {
    read++;
    const found = explained(line, options);
    if (!found) continue;
    if (options.json) json({ v: JSON_VERSION, line: line.trim(), ...jsonOf(found) });
    else for (const text of textOf(line, found, known.has(found.id))) out(text);
    known.add(found.id);
    if (first.length < 1000) first.push(found);
    flushOut();
  }
  if (first.length === 0) {
    const what = given ? 'this line is not' : `none of ${read} lines is`;
    process.stderr.write(
      `rewalk: explain: ${what} a message that is known; known are those of ${RULES.map(r => r.id).join(', ')} about page tables, traps and the end of a guest\n`,
    );
    return 1;
  }
  return options.in === undefined ? 0 : withRecording(options.in, source => jump(source, first, options));
}

const jsonOf = ({ words, ...rest }: Explanation): object => ({
  ...rest,
  guest: rest.guest ?? null,
  words: words.map(w => ({ ...w, value: `0x${hex(w.value)}` })),
});

/** The line, its words, what it means; only line and words where the message was explained before. */
function textOf(line: string, e: Explanation, again: boolean): string[] {
  const lines = [paint.bold(harmless(line.trim()))];
  for (const w of e.words)
    lines.push(`  ${w.name.padEnd(5)} ${w.name === 'flags' ? hex(w.value) : hex16(w.value)}  ${w.means}`);
  for (const note of e.notes) lines.push(`  ${note}`);
  if (again) return lines;
  lines.push('', `  ${e.means}`);
  if (e.causes.length > 0) lines.push('', '  Known causes:');
  for (const cause of e.causes) lines.push(`  - ${cause}`);
  if (e.guest) lines.push('', `  See it happen: rewalk record ${e.guest}, then rewalk why on the recording`);
  return [...lines, ''];
}

/** The console events of a recording that have a message: the same words, or else the same kind of message. */
function* placesOf(source: Source, e: Explanation, options: Options): Work<{ same: number[]; alike: number[] }> {
  const [same, alike]: [number[], number[]] = [[], []];
  for (const [n, info] of source.chunks.entries()) {
    if (info.counts[KIND.console] === 0) continue;
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) {
      if (block.kind[i] !== KIND.console) continue;
      const event = eventAt(block, i);
      const found = event.kind === 'console' ? explained(event.text, options) : undefined;
      if (found?.id === e.id) (found.message === e.message ? same : alike).push(event.seq);
    }
    yield { done: info.first + info.count, total: source.count };
  }
  return { same, alike };
}

/** Shows the first of the messages that the recording has. */
async function jump(source: Source, messages: readonly Explanation[], options: Options): Promise<number> {
  for (const message of messages) {
    const { same, alike } = await work('looking for the message', placesOf(source, message, options));
    const seq = same[0] ?? alike[0];
    if (seq === undefined) continue;
    if (options.json) {
      json({ v: JSON_VERSION, in: source.name, seq, same, alike });
      return 0;
    }
    const which = same.length > 0 ? 'this message' : 'such a message, with other frames,';
    const more = (same.length > 0 ? same : alike).length - 1;
    out(paint.bold(`${source.name} has ${which} at ${whenText(source, seq)}${more > 0 ? `, and ${more} more` : ''}`));
    printBlame(source, blameEvent(source, seq));
    return 0;
  }
  if (!options.json) out(`${source.name} has no such message`);
  return 1;
}
