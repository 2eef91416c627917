/**
 * What of the memory management is kept with a checkpoint, as JSON can carry it. Checkpoints are many and frames too, so the
 * frame table is a list of runs (word, how many), since neighbours are mostly alike, and of what does not fit into a word:
 *
 *   26       19 18       11 10    5 4    3 2    0
 *  +-----------+-----------+-------+------+------+
 *  | total     | typeCount | flags | owner| type |      counts up to 254; 255: see `others`
 *  +-----------+-----------+-------+------+------+
 */
import { asFrame } from '../../../../base/brand.js';
import { Trouble } from '../../../../base/trouble.js';
import { parseHex } from '../../../../base/u64.js';
import type { Core, Pending } from './core.js';
import { FLAG, type FrameColumns, OWNER } from './frames.js';
import { noTables } from './segments.js';

/** Each a list of numbers as text, with commas: JSON is quick with texts, not with a hundred thousand numbers. */
export interface SavedFrames {
  /** Words and how many of each, in turn. */
  readonly runs: string;
  /** Frames with more: mfn, typeCount, total, entriesDone, linear, five numbers each. */
  readonly others: string;
  /** Frames that the TLB may still know as what they were. */
  readonly lingering: string;
}
export interface SavedMm {
  readonly frames: SavedFrames;
  readonly gdt: readonly number[];
  readonly gdtEntries: number;
  readonly ldtBase: string;
  readonly ldtEntries: number;
  readonly ldtPages: readonly number[];
  readonly pending: Pending | null;
  /** Left out where there are none. */
  readonly held?: readonly number[];
  readonly owned: number;
  readonly ownedMax: number;
  readonly freeFrom: number;
}

const COUNT_MAX = 255;
export function packFrames(columns: FrameColumns, clock: number): SavedFrames {
  const { type, owner, flags, typeCount, total, entriesDone, linear, stamp } = columns;
  const [runs, others, lingering]: [number[], number[], number[]] = [[], [], []];
  let word = -1;
  let from = 0;
  for (let n = 0; n < type.length; n++) {
    const [typed, all] = [typeCount[n]!, total[n]!];
    const partial = flags[n]! & FLAG.partial ? entriesDone[n]! : 0;
    const now =
      type[n]! |
      (owner[n]! << 3) |
      (flags[n]! << 5) |
      (Math.min(typed, COUNT_MAX) << 11) |
      (Math.min(all, COUNT_MAX) << 19);
    if (now !== word) {
      if (n > 0) runs.push(word, n - from);
      word = now;
      from = n;
    }
    if (typed >= COUNT_MAX || all >= COUNT_MAX || partial !== 0 || linear[n]! !== 0)
      others.push(n, typed, all, partial, linear[n]!);
    if (stamp[n]! >= clock) lingering.push(n);
  }
  runs.push(word, type.length - from);
  return { runs: runs.join(), others: others.join(), lingering: lingering.join() };
}
/** Fills the columns, for a clock of 1. Throws Trouble where the runs do not fill them, or a value does not fit. */
export function unpackFrames(saved: unknown, columns: FrameColumns): void {
  const { type, owner, flags, typeCount, total, entriesDone, linear, stamp } = columns;
  if (!isObject(saved)) throw damaged('frames');
  const numbers = (name: keyof SavedFrames): number[] => {
    const text = saved[name];
    if (typeof text !== 'string') throw damaged(name);
    return text === '' ? [] : text.split(',').map(Number);
  };
  const [runs, others, lingering] = [numbers('runs'), numbers('others'), numbers('lingering')];
  const frames = type.length;
  let at = 0;
  for (let n = 0; n < runs.length; n += 2) {
    const [word, many] = [runs[n], runs[n + 1]];
    if (!isWhole(word, 0, 2 ** 27) || !isWhole(many, 1, frames - at + 1)) throw damaged('runs');
    type.fill(word & 7, at, at + many);
    owner.fill((word >>> 3) & 3, at, at + many);
    flags.fill((word >>> 5) & 63, at, at + many);
    typeCount.fill((word >>> 11) & COUNT_MAX, at, at + many);
    total.fill(word >>> 19, at, at + many);
    at += many;
  }
  if (at !== frames || owner.some(o => o > OWNER.xen)) throw damaged('runs');
  entriesDone.fill(0);
  linear.fill(0);
  for (let n = 0; n < others.length; n += 5) {
    const [mfn, typed, all, done, lines] = others.slice(n, n + 5);
    if (!isWhole(mfn, 0, frames) || !isWhole(typed, 0, 2 ** 32) || !isWhole(all, 0, 2 ** 32)) throw damaged('others');
    if (!isWhole(done, 0, 513) || !isWhole(lines, -(2 ** 15), 2 ** 15)) throw damaged('others');
    typeCount[mfn] = typed;
    total[mfn] = all;
    entriesDone[mfn] = done;
    linear[mfn] = lines;
  }
  stamp.fill(0);
  for (const mfn of lingering) {
    if (!isWhole(mfn, 0, frames)) throw damaged('lingering');
    stamp[mfn] = 1;
  }
}

export function packMm({ frames, tables, pending, held, owned, ownedMax, freeFrom }: Core): SavedMm {
  return {
    frames: frames.save(),
    gdt: [...tables.gdt],
    gdtEntries: tables.gdtEntries,
    ldtBase: tables.ldtBase.toString(16),
    ldtEntries: tables.ldtEntries,
    ldtPages: [...tables.ldtPages],
    pending: pending ? { ...pending } : null,
    ...(held.length > 0 ? { held: [...held] } : {}),
    owned,
    ownedMax,
    freeFrom,
  };
}
/** Takes over what was saved; memory is as it was then. Throws Trouble where it is not what `packMm` makes. */
export function unpackMm(core: Core, saved: unknown): void {
  if (!isObject(saved)) throw damaged('nothing there');
  const count = core.frames.count;
  core.frames.restore(saved.frames);
  const { gdt, gdtEntries, ldtBase, ldtEntries, ldtPages, pending, owned, ownedMax, freeFrom } = saved;
  const held = saved.held ?? [];
  const tables = noTables();
  const base = typeof ldtBase === 'string' ? parseHex(ldtBase) : undefined;
  if (!isList(gdt) || gdt.length > 14 || !gdt.every(n => isWhole(n, 0, count))) throw damaged('gdt');
  if (!isList(held) || !held.every(n => isWhole(n, 0, count))) throw damaged('held');
  if (!isList(ldtPages) || ldtPages.length !== tables.ldtPages.length) throw damaged('ldt');
  if (!ldtPages.every(n => isWhole(n, -1, count)) || base === undefined) throw damaged('ldt');
  if (!isWhole(gdtEntries, 0, 512 * 14 + 1) || !isWhole(ldtEntries, 0, 8193)) throw damaged('descriptor tables');
  if (!isWhole(owned, 0, count + 1) || !isWhole(ownedMax, 0, count + 1) || !isWhole(freeFrom, 0, count + 1))
    throw damaged('numbers');
  core.tables = { gdt: gdt.map(asFrame), gdtEntries, ldtBase: base, ldtEntries, ldtPages: [...ldtPages] };
  core.pending = unpackPending(pending, count);
  core.held = held.map(asFrame);
  core.owned = owned;
  core.ownedMax = ownedMax;
  core.freeFrom = freeFrom;
}
function unpackPending(saved: unknown, frames: number): Pending | undefined {
  if (saved === null) return undefined;
  if (!isObject(saved)) throw damaged('pending');
  const { mfn, parent, partial, cause } = saved;
  if (!isWhole(mfn, 0, frames) || !isWhole(parent, -1, frames) || !isWhole(cause, -1, 2 ** 53))
    throw damaged('pending');
  return { mfn: asFrame(mfn), parent, partial: partial === true, cause };
}

const damaged = (what: string): Trouble => new Trouble(`checkpoint: Xen's memory management is damaged: ${what}`);
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isList = (value: unknown): value is number[] => Array.isArray(value) && value.every(n => typeof n === 'number');
const isWhole = (n: unknown, from: number, end: number): n is number =>
  Number.isInteger(n) && (n as number) >= from && (n as number) < end;
