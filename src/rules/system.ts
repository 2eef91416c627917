/**
 * What a system's rules give: invariants over state, why something was refused, and what its messages mean. All of it
 * reads recordings, or nothing at all; it never executes.
 */
import type { Paddr } from '../base/brand.js';

/** A word of a message, taken apart. */
export interface Word {
  /** As the message calls it: saw, exp, taf, flags. */
  readonly name: string;
  readonly value: bigint;
  readonly means: string;
}
/** What one line of a log says. */
export interface Explanation {
  /** Names the kind of message; the same for the same message of all versions. */
  readonly id: string;
  /** The message without what log daemons and versions put before it. */
  readonly message: string;
  readonly means: string;
  readonly words: readonly Word[];
  /** What is to be said about these words together, or about how they were read. */
  readonly notes: readonly string[];
  readonly causes: readonly string[];
  /** A built-in guest that shows it happening, system/guest. */
  readonly guest: string | undefined;
}
export interface ExplainOptions {
  /** The layout of words, where it is known; else it is recognised. */
  readonly generation?: string | undefined;
}

/** A rule that did not hold. */
export interface Violation {
  readonly rule: string;
  /** The event that broke it. */
  readonly seq: number;
  /** The last event before the guest went on, with the rule broken; of a window, the one at which it held again. */
  readonly until: number;
  readonly frame: number;
  readonly text: string;
  /** Two entries that should say the same, where that is the rule. */
  readonly entries?: { readonly slot: number; readonly kernel: number; readonly user: number } | undefined;
}
export interface Checked {
  /** What was checked: a sentence for each rule. */
  readonly rules: Readonly<Record<string, string>>;
  /** Events looked at. */
  readonly events: number;
  /** Broken while the guest ran, in order of the events that broke them. */
  readonly violations: readonly Violation[];
  /** Broken only between two entries of one batch. */
  readonly windows: readonly Violation[];
  /** How many there were; more than are listed, perhaps. */
  readonly counted: { readonly violations: number; readonly windows: number };
}

/** One thing that holds a frame as it is, or one of two that should agree. */
export interface Holder {
  readonly text: string;
  /** The event that made it so; -1 where none is recorded. */
  readonly since: number;
  /** The page-table entry, if it is one. */
  readonly at: Paddr | undefined;
  /** The entry arrived with a table that was adopted: the event that made it so is not who wrote it. */
  readonly arrived: boolean;
}
/** Why something was refused, ended or went wrong. */
export interface Why {
  /** What failed, in a sentence, and the event. */
  readonly what: string;
  readonly seq: number;
  /** What the host printed about it. */
  readonly messages: readonly { readonly seq: number; readonly text: string }[];
  /** The state that explains it, a sentence each. */
  readonly because: readonly string[];
  /** Heading of the list of holders. */
  readonly heading: string;
  readonly holders: readonly Holder[];
  /** What would have had to come first, or with it. */
  readonly before: readonly string[];
  /** What came of it. */
  readonly after: readonly { readonly seq: number; readonly text: string }[];
}
