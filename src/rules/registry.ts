/** The systems that have rules: one line each. */
import type { Work } from '../base/work.js';
import type { Source } from '../recording/source.js';
import { check } from '../systems/xen/rules/check.js';
import { explain, GENERATIONS } from '../systems/xen/rules/explain.js';
import { why } from '../systems/xen/rules/why.js';
import type { Checked, ExplainOptions, Explanation, Why } from './system.js';

export interface SystemRules {
  /** The system, as a recording's header names it. */
  readonly id: string;
  /** Whether its invariants hold, event by event; with `all` beyond the first violation. */
  check?(source: Source, all: boolean): Work<Checked>;
  /** Why event `seq` failed, or, without, what the run ended with; undefined where nothing did. */
  why?(source: Source, seq: number | undefined): Work<Why | undefined>;
  /** What a line of the host's log means. */
  explain?(line: string, options?: ExplainOptions): Explanation | undefined;
  readonly generations?: readonly string[];
}

export const RULES: readonly SystemRules[] = [
  { id: 'xen', check, why, explain, generations: Object.keys(GENERATIONS) },
];
