/** The systems that have rules: one line each. */
import { explain, GENERATIONS } from '../systems/xen/rules/explain.js';
import type { ExplainOptions, Explanation } from './system.js';

export interface SystemRules {
  /** The system, as a recording's header names it. */
  readonly id: string;
  /** What a line of the host's log means. */
  explain?(line: string, options?: ExplainOptions): Explanation | undefined;
  readonly generations?: readonly string[];
}

export const RULES: readonly SystemRules[] = [{ id: 'xen', explain, generations: Object.keys(GENERATIONS) }];
