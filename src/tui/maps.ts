/**
 * Address spaces, and how they differ between two moments. Both need the state folded up to a moment, which may take long,
 * so whoever asks waits in a task: here for the asking thread itself, in maps-thread.ts for another one.
 */
import type { Paddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import { type Comparison, compareSpaces } from '../compare/moments.js';
import type { Space } from '../events/kinds.js';
import type { PagingFormat } from '../isa/isa.js';
import type { Source } from '../recording/source.js';
import { formatOf } from '../state/formats.js';
import { createTimeline, type Timeline } from '../state/timeline.js';
import { spaceRuns } from '../views/spaces.js';
import type { Task } from './task.js';

/** The tables under a root, after an event. Its space must have a format. */
export interface Moment {
  readonly seq: number;
  readonly space: Space;
  readonly root: Paddr;
}
/** Ranges of an address space, in order of addresses: numbers only, so that thousands pass between threads in no time. */
export interface Ranges {
  /** RANGE_NUMBERS each: page, pages, 4 KiB pages of each entry, level, permissions (PERMISSION_BITS). */
  readonly numbers: Float64Array;
  readonly tables: number;
  readonly truncated: boolean;
}
export const RANGE_NUMBERS = 5;

export type Question =
  | { readonly kind: 'ranges'; readonly at: Moment }
  | { readonly kind: 'compare'; readonly before: Moment; readonly after: Moment };
export type AnswerTo = { readonly ranges: Ranges; readonly compare: Comparison };

/** Who answers questions. A new one ends the one before. */
export interface Maps {
  ask<K extends Question['kind']>(question: Question & { readonly kind: K }): Task<AnswerTo[K]>;
  close(): void;
}

/** Answers in the asking thread. */
export function mapsHere(source: Source): Maps {
  const timeline = createTimeline(source, { tablesOnly: true });
  return {
    *ask<K extends Question['kind']>(question: Question & { readonly kind: K }) {
      return (yield* answer(timeline, question)) as AnswerTo[K];
    },
    close: () => {},
  };
}

export const answer = (timeline: Timeline, question: Question): Work<Ranges | Comparison> =>
  question.kind === 'ranges' ? rangesAt(timeline, question.at) : compare(timeline, question.before, question.after);

const formatFor = (source: Source, space: Space): PagingFormat => {
  const format = formatOf(source, space);
  if (!format) throw new Error(`internal error: asked for ${space} tables, which have no format`);
  return format;
};
function* rangesAt(timeline: Timeline, { seq, space, root }: Moment): Work<Ranges> {
  const state = yield* timeline.seek(seq);
  const format = formatFor(timeline.source, space);
  const { runs, tables, truncated } = yield* spaceRuns(state, space, format, { at: root });
  const numbers = new Float64Array(RANGE_NUMBERS * runs.length);
  runs.forEach((r, n) => {
    numbers.set([r.page, r.pages, r.pagesEach, r.level.number, r.permissions], RANGE_NUMBERS * n);
  });
  return { numbers, tables, truncated };
}
function* compare(timeline: Timeline, before: Moment, after: Moment): Work<Comparison> {
  const { source } = timeline;
  const format = formatFor(source, after.space);
  const a = { space: before.space, root: { at: before.root }, state: yield* timeline.snapshot(before.seq) };
  const b = { space: after.space, root: { at: after.root }, state: yield* timeline.snapshot(after.seq) };
  return yield* compareSpaces(source, format, a, b);
}
