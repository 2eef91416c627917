/** rewalk record: runs a guest and records it. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { reasonOf, Trouble } from '../base/trouble.js';
import { drive, type Progress } from '../base/work.js';
import { end } from '../events/kinds.js';
import { harmless } from '../events/text.js';
import { type Recorded, record } from '../session/record.js';
import { GUESTS, imageOf } from './built-in.js';
import { flushOut, json, out } from './output.js';
import { countArgument } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly output?: string;
  readonly image?: string;
  readonly system?: string;
  readonly limit: number;
  readonly detail?: 'mmu' | 'full';
  readonly checkpoint?: number;
  readonly expect?: Recorded['how'];
  readonly quiet?: true;
  readonly json?: true;
}

const LIMIT_TICKS = 10_000_000_000;
const LIMIT_EVENTS = 100_000_000;
const REDRAW_MS = 100;

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<guest>', 'system/guest, as rewalk guests lists them; with --image any name; with --system an ELF image')
    .option('-o, --output <file>', 'the recording (default: the guest’s name with .rewalk, here)')
    .option('-i, --image <file>', 'an ELF image to run as this guest')
    .option('-s, --system <system>', 'the system to run on, where the guest is given as an image')
    .option('-l, --limit <ticks>', 'stop after this many instructions', countArgument, LIMIT_TICKS)
    .addOption(
      new Option(
        '-d, --detail <detail>',
        'mmu: every change of memory management; full: every instruction and store too (default: full for built-in guests, else mmu)',
      ).choices(['mmu', 'full']),
    )
    .option('--checkpoint <ticks>', 'instructions between checkpoints', countArgument)
    .addOption(
      new Option('-x, --expect <how>', 'exit with 0 if the run ends so, else with 1').choices(end.fields.how.names),
    )
    .option('-q, --quiet', 'do not print what the guest prints')
    .option('--json', 'the result as one JSON object')
    .addHelpText(
      'after',
      `
Exit code: 0 the guest halted, reached the limit or was stopped by Ctrl-C; 1 it was killed or panicked; 2 trouble.
A recording that was stopped is whole and ends with an event that says so.

  rewalk record bare/address-spaces
  rewalk record --system xen kernel.elf
  rewalk record bare/mine --image mine.elf --limit 5000000 -o /tmp/mine.rewalk`,
    )
    .action((guest: string, options: Options) =>
      run(() => (options.system ? byImage(guest, options) : recordVerb(guest, options))),
    );
};

/** With --system, the guest is an image, called by its file. */
const byImage = (image: string, options: Options): Promise<number> =>
  recordVerb(`${options.system}/${guestName(image)}`, { ...options, image });
const guestName = (image: string): string => basename(image, '.elf').replace(/[^\w.-]/g, '_') || 'image';

async function recordVerb(name: string, options: Options): Promise<number> {
  const [, system, guest] = /^([a-z]+)\/([\w.-]+)$/.exec(name) ?? [];
  if (!system || !guest) throw new Trouble(`${name}: a guest is named system/guest, like ${GUESTS[0]!.name}`);
  const builtIn = GUESTS.find(g => g.name === name);
  if (!options.image && !builtIn)
    throw new Trouble(
      `no built-in guest is called ${name}; there is ${GUESTS.map(g => g.name).join(', ')} (or give an --image)`,
    );
  const imageName = options.image ?? imageOf(builtIn!);
  const image = readImage(imageName);
  const file = options.output ?? `${basename(guest, '.elf')}.rewalk`;
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  const progress = progressLine();
  try {
    const result = await drive(
      record({
        system,
        guest,
        image,
        imageName,
        out: file,
        memoryBytes: options.image ? undefined : builtIn?.memoryBytes,
        detail: options.detail ?? (builtIn && !options.image ? 'full' : 'mmu'),
        limits: { ticks: options.limit, events: LIMIT_EVENTS },
        checkpointTicks: options.checkpoint,
        thread: true,
        signal: abort.signal,
        printed:
          options.quiet || options.json
            ? undefined
            : line => {
                progress.clear();
                out(harmless(line.replace(/\r?\n$/, '')));
              },
      }),
      { onProgress: p => progress.draw(p, file) },
    );
    progress.clear();
    flushOut();
    return report(result, file, options);
  } finally {
    process.removeListener('SIGINT', stop);
    progress.clear();
    flushOut();
  }
}

function readImage(path: string): Uint8Array {
  if (!existsSync(path)) throw new Trouble(`${path}: no such image`);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Trouble(`${path}: ${reasonOf(error)}`);
  }
}

function report(result: Recorded, file: string, { expect, json: asJson }: Options): number {
  const { how, reason, ticks, events, bytes, chain } = result;
  if (asJson) {
    json({ v: 1, file, how, reason, ticks, events, bytes, chain });
    flushOut();
  } else
    process.stderr.write(
      `rewalk: ${how}: ${harmless(reason)}; ${events} events in ${ticks} ticks, ${bytes} bytes in ${file}\n`,
    );
  return expect ? Number(how !== expect) : Number(how === 'killed' || how === 'panic');
}

/** One line on stderr while a person looks, redrawn now and then. */
function progressLine(): { draw(p: Progress, file: string): void; clear(): void } {
  let drawn = 0;
  return {
    draw({ done, total }, file) {
      flushOut();
      const now = performance.now();
      if (!process.stderr.isTTY || now - drawn < REDRAW_MS) return;
      drawn = now;
      process.stderr.write(
        `\r\x1b[Krecording ${file}: ${(done / 1e6).toFixed(1)} of at most ${(total / 1e6).toFixed(0)} million instructions, Ctrl-C ends it`,
      );
    },
    clear() {
      if (drawn) process.stderr.write('\r\x1b[K');
      drawn = 0;
    },
  };
}
