/**
 * Runs a guest from its image to its end and records it. The run goes in slices, so that whoever drives it can show how
 * far it is and stop it; slices end at ticks that only the settings decide, so they leave no trace in the recording.
 */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { asTicks, type Ticks } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import type { Progress } from '../base/work.js';
import type { Ended, Host } from '../machine/system.js';
import { createRecording, type Recorder } from '../recording/writer.js';
import { type FromOutside, Repeated } from './repeated.js';
import { saveHost } from './state.js';
import { systemOf } from './systems.js';
import { asked, type Typist, whileItWaits } from './typist.js';

export interface RecordOptions {
  readonly system: string;
  /** The guest's name, as the recording tells it. */
  readonly guest: string;
  readonly image: Uint8Array;
  /** What messages call the image, if not by the guest's name. */
  readonly imageName?: string;
  /** The file of the recording; an older one is overwritten once the image is known to load. */
  readonly out: string;
  readonly detail: 'mmu' | 'full';
  readonly ramdisk?: Uint8Array | undefined;
  readonly commandLine?: string | undefined;
  readonly input?: string | undefined;
  /** Ends the run, soon, when the guest has printed a line with this. */
  readonly until?: string | undefined;
  readonly memoryBytes?: number | undefined;
  readonly limits: {
    readonly ticks: number;
    /** Looked at every LOOK_TICKS ticks, and in the midst of long instructions. */
    readonly events: number;
  };
  /** Ticks between checkpoints. */
  readonly checkpointTicks?: number | undefined;
  /** Encode and write in a worker. */
  readonly thread?: boolean;
  /** Hears of every line the guest prints. */
  readonly printed?: ((line: string) => void) | undefined;
  /** Hears of what it prints as it does, one character a byte. */
  readonly wrote?: ((text: string) => void) | undefined;
  /** Somebody types while it runs. */
  readonly typist?: Typist | undefined;
  /** What came into a run from outside, for one that is to be the same. Not together with a typist. */
  readonly outside?: Iterator<FromOutside, undefined> | undefined;
  /** Ends the run as `stopped` when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}
export interface Recorded extends Ended {
  readonly ticks: Ticks;
  readonly events: number;
  readonly bytes: number;
  /** What happened, as one hash: sha-256 in hex. */
  readonly chain: string;
}

/**
 * So far apart that a re-run reaches any instruction in half a second, where the code is the slowest there is. Ticks in which
 * the guest waits do not count.
 */
export const CHECKPOINT_TICKS = 13 * 2 ** 20;
/** The same where events are what takes time, as while a kernel maps all of memory. */
const CHECKPOINT_EVENTS = 2 ** 15;
/**
 * How often limits, and events since the last checkpoint, are looked at: at multiples of so many ticks, or of more while there
 * was less than one event in 256 ticks since the last look. A function of events and ticks alone, as what comes of it is recorded.
 */
const LOOK_TICKS = { usual: 2 ** 16, quiet: 2 ** 20 } as const;
const QUIET_TICKS = 256;
/** About a millisecond: for somebody at the keyboard, for a text to wait for, and in full detail. */
const SLICE_TICKS = { mmu: 2 ** 16, full: 2 ** 10 } as const;
/** A follower of a slow run sees events this late. */
const TAIL_MS = 500;

export interface RecordProgress extends Progress {
  /** Events so far. */
  readonly events: number;
}
type Recording = Generator<RecordProgress, Recorded, void>;

/**
 * Records a run. Yields ticks done and the limit; the result says how the run ended.
 * @throws Trouble when the image does not load (nothing is written then) or the file cannot be written
 */
export function* record(options: RecordOptions): Recording {
  const { guest, image, out, detail, limits } = options;
  const system = systemOf(options.system);
  const memoryBytes = options.memoryBytes ?? system.memoryBytes;
  const spacing = options.checkpointTicks ?? CHECKPOINT_TICKS;
  if (!(spacing >= 1 && Number.isSafeInteger(spacing))) throw new Trouble(`checkpoints every ${spacing} ticks`);
  const { ramdisk, commandLine, input } = options;
  const booted = system.boot({
    image,
    guest,
    name: options.imageName ?? guest,
    memoryBytes,
    ramdisk,
    commandLine,
    input,
  });
  const recording = createRecording(
    out,
    {
      system: system.id,
      guest,
      isa: system.isa,
      vcpus: 1,
      memoryBytes,
      detail,
      config: {
        ticks: String(limits.ticks),
        events: String(limits.events),
        ...(commandLine === undefined ? {} : { commandLine }),
        ...(input === undefined ? {} : { input }),
        ...(options.until === undefined ? {} : { until: options.until }),
      },
      images: [
        { name: guest, sha256: sha256(image) },
        ...(ramdisk ? [{ name: 'ramdisk', sha256: sha256(ramdisk) }] : []),
      ],
    },
    { thread: options.thread ?? false },
  );
  let closed = false;
  try {
    const { lexicon } = system;
    recording.lexicon({ ...lexicon, regions: [...lexicon.regions, ...(booted.regions ?? [])] });
    recording.symbols(booted.symbols);
    const seen = { until: false };
    const printed = (line: string): void => {
      seen.until ||= options.until !== undefined && line.includes(options.until);
      options.printed?.(line);
    };
    const { log, intern } = recording;
    const started = booted.start({ log, intern, printed, wrote: options.wrote });
    const host = options.outside ? new Repeated(started, log, options.outside) : started;
    if (detail === 'full') host.trace(recording.detail);
    const ended = yield* run(host, recording, spacing, options, seen);
    closed = true;
    const { events, bytes, chain } = recording.close();
    return { how: ended.how, reason: ended.reason, ticks: host.owner.machine.ticks, events, bytes, chain };
  } finally {
    if (!closed) giveUp(recording, out);
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What was recorded stays readable; a file without events is nothing. */
function giveUp(recording: Recorder, out: string): void {
  const { seq } = recording.log;
  recording.abort();
  if (seq === 0) rmSync(out, { force: true });
}

function* run(
  host: Host,
  recording: Recorder,
  spacing: number,
  { detail, limits, signal, until: text, typist }: RecordOptions,
  seen: { readonly until: boolean },
): Generator<RecordProgress, Ended, void> {
  const { machine } = host.owner;
  const { log } = recording;
  const slice = detail === 'mmu' && !typist && text === undefined ? Infinity : SLICE_TICKS[detail];
  const checkpoint = (): void => recording.checkpoint({ seq: log.seq, ...saveHost(host) });
  let tailed = { at: performance.now(), seq: 0 };
  /** Shows followers what is new, now and then. */
  const tail = (): void => {
    if (log.seq === tailed.seq || performance.now() - tailed.at < TAIL_MS) return;
    recording.tail();
    tailed = { at: performance.now(), seq: log.seq };
  };
  checkpoint();
  let nextCheckpoint = spacing; // in ticks that are not idle
  let checkpointSeq = log.seq;
  let waitedUntil = 0;
  let look: number = LOOK_TICKS.usual; // the next one
  let looked = { ticks: 0, seq: log.seq }; // when it was looked last
  for (;;) {
    const { ticks, idleTicks } = machine;
    if (ticks >= look) look = multipleBehind(ticks, LOOK_TICKS.usual); // the guest waited past it
    const stop = Math.min(limits.ticks, nextCheckpoint + idleTicks, look, multipleBehind(ticks, slice));
    const until = Math.max(waitedUntil, stop);
    const paused = host.run(asTicks(until), typist?.next(false) !== undefined);
    if (typeof paused === 'object' && 'how' in paused) return paused;
    if (seen.until) return host.end({ how: 'stopped', reason: `the guest printed ${text}` });
    if (typeof paused === 'object') {
      const waiting = whileItWaits(host, typist!, paused.wakes, limits.ticks, signal);
      let step = waiting.next();
      for (; !step.done; step = waiting.next()) {
        tail();
        yield { ...step.value, events: log.seq };
      }
      const then = step.value;
      if (typeof then === 'object') return host.end(then.ended, then.at);
      waitedUntil = then;
      continue;
    }
    waitedUntil = 0;
    if (machine.ticks >= limits.ticks) return host.end({ how: 'limit', reason: `${limits.ticks} ticks` });
    const atLook = paused === 'limit' && machine.ticks === look;
    if ((paused === 'busy' || atLook) && log.seq >= limits.events)
      return host.end({ how: 'limit', reason: `${limits.events} events` });
    const manyEvents = atLook && log.seq - checkpointSeq >= CHECKPOINT_EVENTS;
    if (paused === 'limit' && (manyEvents || machine.ticks - machine.idleTicks >= nextCheckpoint)) {
      checkpoint();
      checkpointSeq = log.seq;
      nextCheckpoint += spacing * Math.ceil((machine.ticks - machine.idleTicks + 1 - nextCheckpoint) / spacing);
    }
    if (atLook) {
      const quiet = (log.seq - looked.seq) * QUIET_TICKS < look - looked.ticks;
      looked = { ticks: look, seq: log.seq };
      look = multipleBehind(look, quiet ? LOOK_TICKS.quiet : LOOK_TICKS.usual);
    }
    tail();
    yield { done: machine.ticks, total: limits.ticks, events: log.seq };
    if (signal?.aborted) return host.end({ how: 'stopped', reason: 'interrupted' });
    if (typist && paused === 'limit') asked(host, typist, false, machine.ticks);
  }
}

/** The first multiple of `n` behind `ticks`. */
const multipleBehind = (ticks: number, n: number): number => (Math.floor(ticks / n) + 1) * n;
