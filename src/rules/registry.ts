/** The systems that have rules: one line each. */
import type { Work } from '../base/work.js';
import type { Source } from '../recording/source.js';
import { check } from '../systems/xen/rules/check.js';
import { explain, GENERATIONS } from '../systems/xen/rules/explain.js';
import type { Checked, ExplainOptions, Explanation } from './system.js';

export interface SystemRules {
  /** The system, as a recording's header names it. */
  readonly id: string;
  /** Whether its invariants hold, event by event; with `all` beyond the first violation. */
  check?(source: Source, all: boolean): Work<Checked>;
  /** What a line of the host's log means. */
  explain?(line: string, options?: ExplainOptions): Explanation | undefined;
  readonly generations?: readonly string[];
}

export const RULES: readonly SystemRules[] = [{ id: 'xen', check, explain, generations: Object.keys(GENERATIONS) }];
