/**
 * Stills: whole copies of the pool's words at some boundaries (boundaries.ts). Two moments far apart differ in words on nearly
 * every line of memory, and deltas name each of them; a copy goes over memory in one stream, at a tenth of the cost a word.
 * So a seek over a long way begins at the nearest still and goes on by deltas.
 *
 * Boundaries that have one are the multiples of a span, the smallest power of two for which all of them fit the budget:
 * where they do not, every other one is let go. Before the first event all is zero, which is a still that takes no memory.
 */
import { PARTS } from './boundaries.js';
import { type Beside, EMPTY_TREE } from './tree.js';

export interface Still {
  readonly boundary: number;
  /** The first words of the pool; those behind them, which got their places later, are zero. */
  readonly words: Uint32Array;
  readonly beside: Beside;
}
const START: Still = {
  boundary: 0,
  words: new Uint32Array(0),
  beside: { hosts: EMPTY_TREE.hosts, tasks: EMPTY_TREE.tasks, ending: undefined },
};

/** Boundaries between two stills, at least: 16 chunks. */
export const SPAN_MIN = 16 * PARTS;

export class Stills {
  bytes = 0;
  private readonly budgetBytes: number;
  private span = SPAN_MIN;
  private kept = new Map<number, Still>([[0, START]]);

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get count(): number {
    return this.kept.size - 1;
  }

  /** True if a still of so many words should be made at this boundary. */
  wants(boundary: number, words: number): boolean {
    return boundary % this.span === 0 && !this.kept.has(boundary) && 4 * words <= this.budgetBytes;
  }
  put(still: Still): void {
    this.kept.set(still.boundary, still);
    this.bytes += still.words.byteLength;
    while (this.bytes > this.budgetBytes) this.thin();
  }
  private thin(): void {
    this.span *= 2;
    for (const [boundary, still] of this.kept)
      if (boundary % this.span !== 0) {
        this.kept.delete(boundary);
        this.bytes -= still.words.byteLength;
      }
  }

  /** The nearest ones on either side of a boundary. */
  *around(boundary: number): Generator<Still> {
    let before = START;
    let after: Still | undefined;
    for (const still of this.kept.values()) {
      if (still.boundary <= boundary && still.boundary >= before.boundary) before = still;
      if (still.boundary > boundary && still.boundary < (after?.boundary ?? Number.POSITIVE_INFINITY)) after = still;
    }
    yield before;
    if (after) yield after;
  }
}
