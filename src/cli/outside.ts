/** What the terminal debugger is handed: the verbs, each run as a process of its own; the rules; a way to run again. */
import { spawn } from 'node:child_process';
import { Command } from 'commander';
import type { Work } from '../base/work.js';
import type { Rerun } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
import type { Answer, Broken, Outside } from '../tui/outside.js';
import { rerunFor } from './again.js';
import { VERBS } from './verbs.js';

/** An answer that goes on is cut here: nobody reads more in a pane. */
const ANSWER_BYTES_MAX = 4 << 20;

/** @param main the program whose verbs are run */
export function outsideOf(source: Source, main = process.argv[1]!): Outside {
  let rerun: Promise<Rerun | string> | undefined;
  return {
    verbs: VERBS.filter(v => v.name !== 'open').map(({ name, summary, writes = false }) => ({ name, summary, writes })),
    complete,
    run: (command, watch) => run(main, command, watch),
    rerun: () => (rerun ??= rerunFor(source)),
    check: of => broken(of),
    copy: () => false,
  };
}

async function broken(source: Source): Promise<Work<readonly Broken[]> | undefined> {
  const { RULES } = await import('../rules/registry.js');
  const rules = RULES.find(r => r.id === source.header.system);
  if (!rules?.check) return undefined;
  const checked = rules.check(source, true);
  return (function* () {
    const { violations } = yield* checked;
    return violations.map(({ seq, text }) => ({ seq, text }));
  })();
}

/** With the file and the position where the verb has places for them, as its own arguments say. */
async function complete(words: readonly string[], file: string, position: string): Promise<readonly string[]> {
  const [name = '', ...rest] = words;
  const found = VERBS.find(v => v.name === name);
  if (!found) return words;
  const command = new Command(name);
  (await found.load()).define(command, async () => {});
  const expected = command.registeredArguments.map(a => a.name());
  const given = command.parseOptions([...rest]).operands.length;
  if (!expected[0]?.startsWith('file') || given >= expected.length) return words;
  const takesPosition = expected.at(-1) === 'position' && given === expected.length - 2;
  const known = takesPosition && !(name === 'why' && position === 'start'); // why: what the run ended with
  return [name, file, ...rest, ...(known ? [position] : [])];
}

function run(
  main: string,
  command: readonly string[],
  { signal }: { signal?: AbortSignal | undefined },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, main, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    const stop = (): boolean => child.kill();
    signal?.addEventListener('abort', stop);
    const pieces: Buffer[] = [];
    let bytes = 0;
    const take = (piece: Buffer): void => {
      bytes += piece.length;
      if (bytes <= ANSWER_BYTES_MAX) pieces.push(piece);
      else child.kill();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', code => {
      signal?.removeEventListener('abort', stop);
      const lines = Buffer.concat(pieces).toString('utf8').replace(/\n$/, '').split('\n');
      resolve({ code: code ?? 2, lines: lines.length === 1 && lines[0] === '' ? [] : lines });
    });
  });
}
