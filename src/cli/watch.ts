/**
 * rewalk record --watch: the run goes on in a process of its own, and the debugger opens on the recording while it grows. So
 * one scrubs back without stopping the guest. Its stdin and stdout are the guest's console, for the debugger to type into.
 * Quitting the debugger ends the run, cleanly.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { Trouble } from '../base/trouble.js';
import { Live } from '../tui/live.js';
import { open } from './open.js';

const LOOK_MS = 20;
/** The file system's clock may be a little behind. */
const CLOCKS_MS = 20;
/** The header alone has a page; the debugger can open the file from then on. */
const HEADER_BYTES = 4096;

/**
 * @param args of `rewalk record`, without --watch
 * @param file where they say that the recording goes
 * @param canType whether the guest reads its console
 */
export async function watch(args: readonly string[], file: string, canType: boolean): Promise<number> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) throw new Trouble('--watch needs a terminal');
  const asked = Date.now();
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true, // Ctrl-C at this terminal is the debugger's
  });
  let said = '';
  child.stdin.on('error', () => {}); // the run is over: what is typed goes nowhere
  const live = canType ? new Live(bytes => child.stdin.write(Buffer.from(bytes, 'latin1'))) : undefined;
  child.stdout.on('data', (piece: Buffer) => live?.printed(piece.toString('latin1')));
  child.stderr.on('data', (piece: Buffer) => {
    said = `${said}${piece.toString('utf8')}`.slice(-4096);
  });
  const ended = endOf(child);
  let over = false;
  void ended.then(() => {
    over = true;
    live?.ended();
  });
  // An older file of this name is there until the image is known to load.
  const began = (): boolean => {
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat !== undefined && stat.mtimeMs >= asked - CLOCKS_MS && stat.size >= HEADER_BYTES;
  };
  while (!over && !began()) await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  try {
    if (over && (await ended) === 2) throw new Trouble(said.trim().replace(/^rewalk: /, '') || 'the run did not begin');
    return await open(file, 'end', { follow: true }, live);
  } finally {
    child.kill('SIGINT');
    await ended;
    if (said) process.stderr.write(said);
  }
}
const endOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', code => resolve(code ?? 2));
  });
