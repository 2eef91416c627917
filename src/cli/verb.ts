/** What a verb's file gives to the command line. */
import type { Command } from 'commander';

/** A verb adds its arguments, options and examples to `command`; its action hands `run` what to do and returns its exit code. */
export interface Verb {
  define(command: Command, run: (work: () => Promise<number>) => Promise<void>): void;
}
