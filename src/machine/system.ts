/**
 * What a system model is to whoever runs it: something that boots an image on a machine, goes on to a tick, tells what
 * happens as events, and can be saved and brought back. Each system has one SystemModel; a run of it is a Host.
 */
import type { Ticks, Vaddr } from '../base/brand.js';
import type { Lexicon, Region } from '../events/lexicon.js';
import type { Log } from '../events/log.js';
import type { Restorable } from './engine/checkpoint.js';
import type { RegisterSource } from './registers.js';

/** Where events go. */
export interface Sinks {
  readonly log: Log;
  /** The number of a call stack, innermost return address first; 0 for an empty one. */
  intern(addresses: readonly bigint[]): number;
  /** Hears of every line the guest prints, besides the log. */
  readonly printed?: ((line: string) => void) | undefined;
  /** Hears of what it and its host print when they do, one character a byte: a prompt is no line. */
  readonly wrote?: ((text: string) => void) | undefined;
}

/** A named range of the guest's addresses, from its images. */
export interface NamedRange {
  readonly at: Vaddr;
  readonly bytes: number;
  readonly name: string;
}

/** How a run ended; the `end` event is in the log. */
export interface Ended {
  readonly how: 'halted' | 'killed' | 'panic' | 'limit' | 'stopped';
  readonly reason: string;
}

/** How a run ends in which the guest waits, and nothing will ever come. */
export const WAITS_FOR_NOTHING: Ended = {
  how: 'halted',
  reason: 'the guest waits for an event, and there is nothing that could raise one',
};
/** The guest waits. It goes on by itself at the tick `wakes`; without one, only when somebody types. */
export interface Waits {
  readonly kind: 'waits';
  readonly wakes: Ticks | undefined;
}

export interface Host {
  readonly owner: Restorable & RegisterSource;
  /**
   * Goes on until the clock says `until` ('limit'), or, in the midst of one long instruction, for a look around ('busy'), or
   * to the end of the run. Where it pauses is nothing the guest or the events can tell.
   */
  run(until: Ticks): 'limit' | 'busy' | Ended;
  /**
   * The same for a run into which somebody may type. A guest that waits usually skips time as far as it takes, whatever
   * `until` says; when it is `awaited` the run pauses where it would skip beyond `until`. No checkpoint is taken there.
   */
  run(until: Ticks, awaited: boolean): 'limit' | 'busy' | Waits | Ended;
  /**
   * Types into the guest's console: it arrives before anything else when the run goes on. Between runs that paused at 'limit'
   * or because the guest waits, once in each pause. A system without such a console has no such method.
   * @param text one character a byte
   * @param at the tick at which it arrives: now, or while the guest waits a later one, before it goes on by itself
   * @returns how many characters there was room for
   */
  type?(text: string, at: Ticks): number;
  /** Characters that were typed and that the guest has not read. */
  readonly unread?: number;
  /** From now on in full detail, told to `log`; or no longer. Between runs. The main stream stays the same. */
  trace(log: Log | undefined): void;
  /** The number of the guest's call stack (Sinks.intern) where it is now, between runs. */
  stack(): number;
  /** Ends a run from outside: writes the `end` event. While the guest waits: at the tick `at`. */
  end(ended: Ended, at?: Ticks): Ended;
  /** What of the host, beyond the machine, must be kept with a checkpoint. The same run gives the same bytes. */
  save(): Uint8Array;
}

export interface Boot {
  readonly image: Uint8Array;
  /** What messages call the image. */
  readonly name: string;
  /** The guest's name, for its first event. */
  readonly guest: string;
  readonly memoryBytes: number;
  /** What a kernel is given besides: a ramdisk, and its command line. A system without such things refuses them. */
  readonly ramdisk?: Uint8Array | undefined;
  readonly commandLine?: string | undefined;
  /** What is typed into its console, a line whenever it waits. */
  readonly input?: string | undefined;
}

/** A loaded image, of which nothing was told yet. */
export interface Booted {
  readonly symbols: readonly NamedRange[];
  /** Named ranges of the guest's addresses, besides those of the system. */
  readonly regions?: readonly Region[];
  /** Tells the first events; the guest is before its first instruction. */
  start(sinks: Sinks): Host;
}

export interface SystemModel {
  readonly id: string;
  /** Name of the processor, as in isa/. */
  readonly isa: string;
  readonly lexicon: Lexicon;
  readonly memoryBytes: number;
  /** Loads an image. Throws Trouble when it is none for this system. */
  boot(boot: Boot): Booted;
  /**
   * A host as it was when `state` was saved. `restoreMachine` puts the machine there; the model does so when it has made one.
   * Throws Trouble when the state is not one of this system.
   */
  resume(memoryBytes: number, state: Uint8Array, restoreMachine: (owner: Restorable) => void, sinks: Sinks): Host;
}
