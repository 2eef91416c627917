/**
 * What the debugger is handed by whoever opens it, since it never executes anything itself and knows no system: the verbs of
 * the command line, the rules of the recording's system, a way to run stretches of it again, a clipboard.
 */
import type { Watch, Work } from '../base/work.js';
import type { Rerun } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
import type { Live } from './live.js';

export interface VerbName {
  readonly name: string;
  readonly summary: string;
  /** It writes files: its name must be typed out. */
  readonly writes?: boolean;
}
export interface Answer {
  /** The exit code: 0 fine, 1 the answer is no, 2 trouble. */
  readonly code: number;
  readonly lines: readonly string[];
}
/** An event that breaks a rule of the system. */
export interface Broken {
  readonly seq: number;
  readonly text: string;
}
export interface Outside {
  readonly verbs: readonly VerbName[];
  /**
   * The whole command: `words` (a verb and what follows it) with the recording and, where the verb takes a moment and none
   * is given, the position.
   */
  complete(words: readonly string[], file: string, position: string): Promise<readonly string[]>;
  /** Runs a command of rewalk and gives what it prints. Rejects only when it is stopped. */
  run(command: readonly string[], watch: Watch): Promise<Answer>;
  /** A way to run stretches again, or why there is none. */
  rerun(): Promise<Rerun | string>;
  /** Events that break rules; undefined where the system has no rules. */
  check(source: Source): Promise<Work<readonly Broken[]> | undefined>;
  /** Puts a text into the clipboard; false where there is none. */
  copy(text: string): boolean;
  /** The run that makes the recording, while it goes on and can be typed into. */
  readonly live?: Live | undefined;
}

const gone = 'not available here';
/** Nothing at all: for tests, and for whoever only wants to look. */
export const NOTHING_OUTSIDE: Outside = {
  verbs: [],
  complete: async words => words,
  run: async () => ({ code: 2, lines: [gone] }),
  rerun: async () => gone,
  check: async () => undefined,
  copy: () => false,
};
