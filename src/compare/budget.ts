/**
 * Budgets: how much a run may do of what costs time. A small file says it, and a check says which event was one too many.
 *
 *   { "budgets": [
 *     { "name": "hypercalls of the boot", "count": "hypercalls", "most": 400, "between": ["start", "console:Run /init"] },
 *     { "name": "PTE writes a fork", "count": "pte writes", "most": 300, "per": "fork" },
 *     { "name": "batches in dup_mm", "count": "batches", "most": 9, "function": "dup_mm" } ] }
 *
 * `per` makes it the budget of each single fork, exec, switch ... (units.ts says what those are). `function` counts only what
 * happened with that function on the stack. `between` takes two positions, bookmarks or texts that were printed.
 */
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { type Block, causeAt, eventAt, type LooseColumns } from '../events/block.js';
import { KIND, KIND_NAMES } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { NOTHING_IGNORED, Side } from './side.js';
import { PER, type Units, unitsOf } from './units.js';

/** Hypercalls are calls that are no system calls. */
export const COUNTED = {
  hypercalls: KIND.call,
  batches: KIND.batch,
  'batch entries': KIND.entry,
  'pte writes': KIND.pte,
  flushes: KIND.flush,
  faults: KIND.trap,
} as const;
export interface Budget {
  readonly name: string;
  readonly count: keyof typeof COUNTED;
  readonly most: number;
  readonly per?: string | undefined;
  readonly function?: string | undefined;
  /** Positions, the first not included: `start` is before everything. */
  readonly between?: readonly [string, string] | undefined;
}
export interface Spent {
  readonly budget: Budget;
  /** How many there were; with `per`, in the unit that had most. */
  readonly value: number;
  /** The first event that was one too many, -1 if none was. */
  readonly seq: number;
  /** With `per`: how many units there were, how many events in all of them, and the first unit that had too many (-1). */
  readonly units?: number;
  readonly total?: number;
  readonly unit?: number;
}

const FIELDS = new Set(['name', 'count', 'most', 'per', 'function', 'between']);

/** Reads a budget file. @throws Trouble that names the file, the place and the reason */
export function parseBudgets(file: string, text: string): Budget[] {
  const refuse = (place: string, why: string): never => {
    throw new Trouble(`${file}: ${place}: ${why}`);
  };
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    refuse('not JSON', (error as Error).message);
  }
  const list = (whole as { budgets?: unknown } | null)?.budgets;
  if (!Array.isArray(list)) return refuse('budgets', 'a list is expected');
  return list.map((b: Record<string, unknown>, n): Budget => {
    const place = `budgets[${n}]`;
    if (typeof b !== 'object' || b === null) refuse(place, 'an object is expected');
    for (const key of Object.keys(b))
      if (!FIELDS.has(key)) refuse(`${place}.${key}`, `there is ${[...FIELDS].join(', ')}`);
    const { name, count, most, per, function: inside, between } = b;
    if (typeof name !== 'string' || name === '') refuse(`${place}.name`, 'a text is expected');
    if (typeof count !== 'string' || !Object.hasOwn(COUNTED, count))
      refuse(`${place}.count`, `one of ${Object.keys(COUNTED).join(', ')} is expected`);
    if (typeof most !== 'number' || !(most >= 0)) refuse(`${place}.most`, 'a number from 0 on is expected');
    if (per !== undefined && !PER.test(String(per)))
      refuse(`${place}.per`, 'fork, exec, switch, task, fault or call:NAME is expected');
    if (inside !== undefined && typeof inside !== 'string') refuse(`${place}.function`, 'a name is expected');
    if (
      between !== undefined &&
      !(Array.isArray(between) && between.length === 2 && between.every(p => typeof p === 'string'))
    )
      refuse(`${place}.between`, "two positions, 'bookmarks or console:TEXT are expected");
    return b as unknown as Budget;
  });
}

const CAUSES_MAX = 8;
/** True if the event, or what it happened inside, has the function on its stack. */
function isInside(side: Side, name: string, block: Block, i: number): boolean {
  for (let n = 0; n < CAUSES_MAX; n++) {
    const columns = block.col[KIND_NAMES[block.kind[i]!]!] as unknown as LooseColumns;
    const id = columns.stack?.[block.row[i]!] ?? 0;
    if (id !== 0) return side.stack(id).names.includes(name);
    const cause = causeAt(block, i);
    if (cause < 0) return false;
    if (cause < block.first) block = side.source.chunk(side.source.chunkOf(cause));
    i = cause - block.first;
  }
  return false;
}

/** One budget as it is counted. */
class Counter {
  readonly budget: Budget;
  private readonly kind: number;
  private readonly from: number;
  private readonly to: number;
  private readonly units: Units | undefined;
  private n = 0;
  private over = -1;
  /** The unit at work, and what the units before it came to. */
  private unit = -1;
  private done = { units: 0, total: 0, most: 0, over: -1, unit: -1 };

  constructor(budget: Budget, from: number, to: number, units: Units | undefined) {
    this.budget = budget;
    this.kind = COUNTED[budget.count];
    this.from = from;
    this.to = to;
    this.units = units;
  }
  event(side: Side, block: Block, i: number): void {
    const seq = block.first + i;
    if (seq > this.to) return;
    const { function: inside, most } = this.budget;
    const counted =
      seq > this.from &&
      block.kind[i] === this.kind &&
      !(this.kind === KIND.call && block.col.call.class[block.row[i]!] === side.syscall) &&
      (inside === undefined || isInside(side, inside, block, i));
    if (this.units) {
      const unit = this.units.of(block, i, counted);
      if (unit === undefined) return;
      if (unit !== this.unit) this.nextUnit(unit);
      if (unit <= this.from) return; // of a unit that was begun before, nobody knows the whole
    }
    if (counted && ++this.n > most && this.over < 0) this.over = seq;
  }
  spent(): Spent {
    const { budget, n, over } = this;
    if (!this.units) return { budget, value: n, seq: over };
    this.units.end();
    this.nextUnit(-1);
    const { done } = this;
    return { budget, value: done.most, seq: done.over, units: done.units, total: done.total, unit: done.unit };
  }
  private nextUnit(unit: number): void {
    const { done } = this;
    if (this.unit > this.from && this.units!.real()) {
      done.units++;
      done.total += this.n;
      done.most = Math.max(done.most, this.n);
      if (this.over >= 0 && done.over < 0) [done.over, done.unit] = [this.over, this.unit];
    }
    this.unit = unit;
    this.n = 0;
    this.over = -1;
  }
}

/** Finds where a stretch begins or ends: the event before it, or its last; not before event `after`. */
export type FindPlace = (text: string, after: number) => Work<number>;

/** What each budget comes to. @throws Trouble where a recording cannot tell */
export function* spend(source: Source, budgets: readonly Budget[], find: FindPlace): Work<Spent[]> {
  const side = new Side(source, NOTHING_IGNORED);
  const counters: Counter[] = [];
  for (const budget of budgets) {
    const refuse = (why: string): never => {
      throw new Trouble(`${source.name}: budget ${budget.name}: ${why}`);
    };
    const [first, last] = budget.between ?? ['start', 'end'];
    const from = yield* find(first, -1);
    const to = yield* find(last, from);
    if (to < from) refuse(`${last} is before ${first}`);
    const units = budget.per === undefined ? undefined : unitsOf(budget.per, side);
    if (units && 'never' in units) refuse(units.never);
    counters.push(new Counter(budget, from, to, units as Units | undefined));
  }
  for (const [n, info] of source.chunks.entries()) {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) for (const c of counters) c.event(side, block, i);
    yield { done: info.first, total: source.count };
  }
  return counters.map(c => c.spent());
}

const LINE_MAX = 4096;
/**
 * The first event after `after` that completes a line with this text on the console, the guest's or its host's; -1 if there is
 * none. A line may be printed in pieces: the event is the one that has the text's last letter.
 */
export function* findPrinted(source: Source, text: string, after: number): Work<number> {
  const lines = ['', ''];
  for (const [n, { first, counts }] of source.chunks.entries()) {
    if (counts[KIND.console] === 0) continue;
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) {
      if (block.kind[i] !== KIND.console) continue;
      const e = eventAt(block, i);
      if (e.kind !== 'console') continue;
      const of = e.from === 'guest' ? 0 : 1;
      const line = lines[of] + e.text;
      if (line.includes(text, Math.max(0, lines[of]!.length - text.length + 1)) && first + i > after) return first + i;
      lines[of] = line.slice(line.lastIndexOf('\n') + 1).slice(-LINE_MAX);
    }
    yield { done: first, total: source.count };
  }
  return -1;
}
