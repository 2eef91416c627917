/** rewalk record: runs a guest and records it. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { reasonOf, Trouble } from '../base/trouble.js';
import { drive } from '../base/work.js';
import { end } from '../events/kinds.js';
import { harmless } from '../events/text.js';
import { MAGIC } from '../recording/frames.js';
import { openRecording } from '../recording/reader.js';
import { type Recorded, record } from '../session/record.js';
import { fromOutside } from '../session/repeated.js';
import { GUESTS, imageOf } from './built-in.js';
import { compareGolden, goldenIn, newOf } from './golden.js';
import { type Hand, handAt, Keyboard } from './keyboard.js';
import { flushOut, json } from './output.js';
import { RunScreen, type Show } from './run-screen.js';
import { countArgument, memoryArgument } from './session.js';
import type { Verb } from './verb.js';
import { watch } from './watch.js';

interface Options {
  readonly output?: string;
  readonly image?: string;
  readonly system?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory?: number;
  readonly until?: string;
  readonly input?: string;
  readonly limit?: number;
  readonly detail?: 'mmu' | 'full';
  readonly checkpoint?: number;
  readonly expect?: Recorded['how'];
  readonly golden?: string;
  readonly quiet?: true;
  readonly raw?: true;
  readonly debugger?: true;
  readonly watch?: true;
  readonly json?: true;
}

const LIMIT_TICKS = 10_000_000_000;
const LIMIT_EVENTS = 100_000_000;
const NEVER = Number.MAX_SAFE_INTEGER;

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('[guest]', 'system/guest, as rewalk guests lists them; with --image any name; with --system an ELF image')
    .option('-o, --output <file>', 'the recording (default: the guest’s name with .rewalk, here)')
    .option('-i, --image <file>', 'an ELF image to run as this guest')
    .option('-s, --system <system>', 'the system to run on, where the guest is given as an image')
    .option('-k, --kernel <file>', 'a Linux kernel (bzImage or vmlinux) to boot as a guest of Xen')
    .option('--initrd <file>', 'its initial ramdisk')
    .option('--append <words>', 'its command line; console=hvc0 is added where it names no console')
    .option('-m, --memory <size>', 'memory of the guest, like 256M', memoryArgument)
    .option('-u, --until <text>', 'end soon after the guest printed a line with this text; @N: at N instructions')
    .option(
      '--input <file>',
      'what is typed into the console: a line whenever the guest waits; a recording: what was typed in it, when it was; -: stdin',
    )
    .option('--raw', 'let what the guest prints reach the terminal as it is: for programs that draw')
    .option(
      '-l, --limit <ticks>',
      `stop after this many instructions, waiting included (default: ${LIMIT_TICKS}; none while somebody may type)`,
      countArgument,
    )
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
    .option('-w, --watch', 'open the debugger on the run while it goes on; quitting it ends the run')
    .option(
      '-g, --golden <dir>',
      'compare with the golden recording in this folder; what differs becomes FILE.new beside it',
    )
    .option('-q, --quiet', 'do not print what the guest prints')
    .addOption(new Option('--debugger', 'keys on stdin and the console on stdout belong to a debugger').hideHelp())
    .option('--json', 'the result as one JSON object')
    .addHelpText(
      'after',
      `
Exit code: 0 the guest halted, reached the limit or was stopped by Ctrl-C; 1 it was killed or panicked; 2 trouble.
With --golden: 0 the run is the golden one, 1 it differs or there is none yet; rewalk accept takes the new one over.
A recording that was stopped is whole and ends with an event that says so.

A kernel's console is the terminal: keys go to the guest as they are typed. Ctrl-C ends the recording; Ctrl-] c sends a Ctrl-C
to the guest, Ctrl-] ] a Ctrl-], Ctrl-] q ends it too. While the guest waits, its time goes as fast as yours; left alone
(< /dev/null, or --input FILE) it skips to the next timer. On a pipe each line is typed when the guest waits and has read the
one before. What was typed is in the recording, so it can be run again as it was.

  rewalk record bare/address-spaces
  rewalk record --watch xen/user-pagetables
  rewalk record --system xen kernel.elf
  rewalk record xen/user-pagetables --golden recordings/xen
  rewalk record --kernel /boot/vmlinuz --initrd initrd.img --memory 256M -o boot.rewalk
  rewalk record --kernel vmlinuz --initrd initrd --until 'login:'
  printf 'ls /\\npoweroff -f\\n' | rewalk record --kernel vmlinuz --initrd initrd
  rewalk record --kernel vmlinuz --initrd initrd --input vmlinuz.rewalk -o again.rewalk
  rewalk record bare/mine --image mine.elf --limit 5000000 -o /tmp/mine.rewalk`,
    )
    .action((guest: string | undefined, options: Options) =>
      run(() => {
        if (options.kernel !== undefined) return linux(options.kernel, guest, options);
        if (guest === undefined) throw new Trouble('say which guest: rewalk guests lists them; or give a --kernel');
        return options.system ? byImage(guest, options) : recordVerb(guest, options);
      }),
    );
};

const KERNEL_MEMORY = 256 * 2 ** 20;

/** A Linux kernel on Xen. */
async function linux(kernel: string, guest: string | undefined, options: Options): Promise<number> {
  if (guest !== undefined) throw new Trouble(`${guest}: with --kernel the guest is the kernel; leave this out`);
  const { unpackKernel } = await import('../kernels/linux/image.js');
  const image = await unpackKernel(readImage(kernel), kernel);
  const append = options.append ?? '';
  return recordGuest('xen', guestName(kernel), options, {
    image,
    imageName: kernel,
    ramdisk: options.initrd === undefined ? undefined : readImage(options.initrd),
    commandLine: /(^| )console=/.test(append) ? append : `console=hvc0 ${append}`.trim(),
    memoryBytes: options.memory ?? KERNEL_MEMORY,
    checkpointTicks: options.checkpoint,
  });
}

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
  return recordGuest(system, guest, options, {
    image,
    imageName,
    memoryBytes: options.memory ?? (options.image ? undefined : builtIn?.memoryBytes),
    checkpointTicks: options.checkpoint,
    builtIn: builtIn !== undefined && !options.image,
  });
}

interface Given {
  readonly image: Uint8Array;
  readonly imageName: string;
  readonly ramdisk?: Uint8Array | undefined;
  readonly commandLine?: string;
  readonly memoryBytes: number | undefined;
  readonly checkpointTicks: number | undefined;
  readonly builtIn?: boolean;
}
async function recordGuest(system: string, guest: string, options: Options, given: Given): Promise<number> {
  if (options.golden && options.output)
    throw new Trouble('--golden says where the recording goes: --output does not go with it');
  const golden = options.golden === undefined ? undefined : goldenIn(options.golden, basename(guest, '.elf'));
  const file = golden ? newOf(golden) : (options.output ?? `${basename(guest, '.elf')}.rewalk`);
  if (options.watch) {
    const again = process.argv.slice(2).filter(a => a !== '--watch' && a !== '-w');
    return watch([...again, '--debugger', '--output', file], file, canType(system, options, given));
  }
  const input = inputOf(options.input, file);
  const hand = canType(system, options, given) ? handOf(options) : undefined;
  const abort = new AbortController();
  let killed = 0;
  const stop = (): void => {
    abort.abort();
    keyboard?.nudge();
  };
  const kill = (_: string, number: number): void => {
    killed = number;
    stop();
  };
  const screen = new RunScreen(showOf(options, hand), file);
  const keyboard = hand && new Keyboard(hand, stop, text => screen.say(text));
  process.on('SIGINT', stop);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, kill);
  const untilTicks = /^@(\d{1,15})$/.exec(options.until ?? '')?.[1];
  const limit = options.limit ?? (hand ? NEVER : (input.limit ?? LIMIT_TICKS));
  try {
    await keyboard?.open();
    const { builtIn, ...what } = given;
    const result = await drive(
      record({
        ...what,
        system,
        guest,
        out: file,
        input: input.text,
        outside: input.outside,
        typist: keyboard,
        until: untilTicks === undefined ? options.until : undefined,
        detail: options.detail ?? (builtIn ? 'full' : 'mmu'),
        limits: { ticks: Math.min(limit, Number(untilTicks ?? limit)), events: LIMIT_EVENTS },
        thread: true,
        signal: abort.signal,
        printed: screen.printed,
        wrote: screen.wrote,
      }),
      { onProgress: p => screen.progress(p) },
    );
    keyboard?.close();
    screen.close();
    const code = report(result, file, options);
    if (killed) return SIGNALLED + killed;
    if (!golden) return code;
    return abort.signal.aborted ? 2 : await compareGolden(golden);
  } finally {
    process.removeListener('SIGINT', stop);
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, kill);
    keyboard?.close();
    screen.close();
    input.close();
  }
}
/** The exit code of a program that a signal ended is this and the signal's number. */
const SIGNALLED = 128;

/** Whether this guest has a console that reads, and what is typed is not said beforehand. */
const canType = (system: string, { input, golden }: Options, { builtIn }: Given): boolean =>
  system === 'xen' && !builtIn && golden === undefined && (input === undefined || input === '-');
/** Who types. At a terminal nobody does who does not see what the guest prints. */
function handOf(options: Options): Hand | undefined {
  if (options.debugger) return 'debugger';
  const hand = handAt(process.stdin);
  const blind = options.quiet || options.json || !process.stdout.isTTY;
  return hand === 'terminal' && blind ? undefined : hand;
}
function showOf({ quiet, json: asJson, raw, debugger: debugged }: Options, hand: Hand | undefined): Show {
  if (debugged) return 'raw';
  if (quiet || asJson) return 'nothing';
  return raw ? 'raw' : hand === 'terminal' ? 'terminal' : 'lines';
}

/** What --input names: a text to type, or a recording into which somebody typed. */
interface Input {
  readonly text?: string;
  readonly outside?: ReturnType<typeof fromOutside>;
  /** That recording's own. */
  readonly limit?: number;
  close(): void;
}
const NO_INPUT: Input = { close: () => {} };
function inputOf(file: string | undefined, output: string): Input {
  if (file === undefined || file === '-') return NO_INPUT;
  const bytes = Buffer.from(readImage(file));
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return { ...NO_INPUT, text: bytes.toString('utf8') };
  if (resolve(file) === resolve(output)) throw new Trouble(`${file}: its input cannot be read while it is overwritten`);
  const source = openRecording(file);
  const { input, ticks } = source.header.config;
  if (input !== undefined) {
    source.close();
    return { ...NO_INPUT, text: input };
  }
  const limit = ticks === undefined ? {} : { limit: Number(ticks) };
  return { outside: fromOutside(source, 0), ...limit, close: () => source.close() };
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
