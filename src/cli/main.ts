#!/usr/bin/env node
/**
 * The command line. Each verb is a file of its own, loaded only when it is asked for: answering `rewalk walk` must not
 * cost loading the rest.
 *
 * Exit codes, as diff(1): 0 fine (or the same), 1 the answer is no (differs, violated, killed), 2 trouble.
 */
import { existsSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { leaveRoom } from '../base/leave.js';
import { reasonOf, Trouble } from '../base/trouble.js';
import { onClosedPipe } from './output.js';
import { VERBS } from './verbs.js';

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('rewalk')
    .description('Time-travel debugger for the memory management of paravirtualised kernels.')
    .version('0.1.0', '-V, --version')
    .helpOption('-h, --help', 'help for a verb: rewalk help VERB')
    .configureOutput({
      outputError: (text, write) =>
        write(
          `rewalk: ${text
            .replace(/^error: /, '')
            .trim()
            .replace(/\s*\n\s*/g, ' ')}\n`,
        ),
    })
    .exitOverride();
  const first = argv[0] ?? '';
  // rewalk FILE opens it.
  if (!first.startsWith('-') && !VERBS.some(v => v.name === first) && first !== 'help' && existsSync(first))
    argv = ['open', ...argv];
  const asked = argv[0] === 'help' ? argv[1] : argv[0];
  let code = 0;
  for (const { name, summary, load } of VERBS) {
    const command = program.command(name).description(summary).exitOverride();
    if (name !== asked) continue;
    const verb = await load();
    verb.define(command, async work => {
      code = await work();
    });
  }
  program.addHelpText(
    'after',
    '\nPositions: #48211 (after that event), @12345678 (ticks), 37%, start, end.\nMost people begin with:\n  rewalk stats run.rewalk\n  rewalk log run.rewalk --limit 20\n  rewalk map run.rewalk 50% --diff end',
  );
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 || error.code === 'commander.help' ? 0 : 2;
    throw error;
  }
  return code;
}

onClosedPipe();
process.on('exit', leaveRoom); // where something ends the process at once
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Trouble) process.stderr.write(`rewalk: ${reasonOf(error)}\n`);
  else if (error instanceof DOMException && error.name === 'AbortError') process.stderr.write('rewalk: interrupted\n');
  else process.stderr.write(`rewalk: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 2;
}
leaveRoom();
