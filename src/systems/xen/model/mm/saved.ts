/**
 * What of the memory management is kept with a checkpoint, as JSON can carry it. Columns of the frame table are runs, since
 * neighbours are mostly alike: value, how many, value, how many ...
 */

import { asFrame } from '../../../../base/brand.js';
import { Trouble } from '../../../../base/trouble.js';
import { parseHex } from '../../../../base/u64.js';
import { TYPE } from '../../names.js';
import type { Core, Pending } from './core.js';
import { type FrameColumns, OWNER } from './frames.js';
import { noTables } from './segments.js';

export type SavedFrames = Readonly<Record<keyof FrameColumns, readonly number[]>>;
export interface SavedMm {
  readonly frames: SavedFrames;
  readonly gdt: readonly number[];
  readonly gdtEntries: number;
  readonly ldtBase: string;
  readonly ldtEntries: number;
  readonly ldtPages: readonly number[];
  readonly pending: Pending | null;
  readonly clock: number;
  readonly owned: number;
  readonly ownedMax: number;
  readonly freeFrom: number;
}

export function packColumns(columns: FrameColumns): SavedFrames {
  const runs = (column: ArrayLike<number>): number[] => {
    const out: number[] = [];
    for (let n = 0; n < column.length; n++) {
      if (out.length > 0 && out[out.length - 2] === column[n]) out[out.length - 1]!++;
      else out.push(column[n]!, 1);
    }
    return out;
  };
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, runs(column)]),
  ) as unknown as SavedFrames;
}
/** Fills the columns. Throws Trouble where the runs do not fill them, or a value does not fit. */
export function unpackColumns(saved: unknown, columns: FrameColumns): void {
  if (!isObject(saved)) throw damaged('frames');
  for (const [name, column] of Object.entries(columns)) {
    const runs = saved[name];
    if (!isList(runs) || runs.length % 2 !== 0) throw damaged(name);
    let at = 0;
    for (let n = 0; n < runs.length; n += 2) {
      const [value, many] = [runs[n]!, runs[n + 1]!];
      if (!isWhole(many, 1, column.length - at + 1)) throw damaged(name);
      column.fill(value, at, at + many);
      if (column[at] !== value) throw damaged(name); // too large for its column
      at += many;
    }
    if (at !== column.length) throw damaged(name);
  }
  if (columns.type.some(t => t > TYPE.writable) || columns.owner.some(o => o > OWNER.xen)) throw damaged('types');
  if (columns.entriesDone.some(n => n > 512)) throw damaged('entriesDone');
}

export function packMm({ frames, tables, pending, clock, owned, ownedMax, freeFrom }: Core): SavedMm {
  return {
    frames: frames.save(),
    gdt: [...tables.gdt],
    gdtEntries: tables.gdtEntries,
    ldtBase: tables.ldtBase.toString(16),
    ldtEntries: tables.ldtEntries,
    ldtPages: [...tables.ldtPages],
    pending: pending ? { ...pending } : null,
    clock,
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
  const { gdt, gdtEntries, ldtBase, ldtEntries, ldtPages, pending, clock, owned, ownedMax, freeFrom } = saved;
  const tables = noTables();
  const base = typeof ldtBase === 'string' ? parseHex(ldtBase) : undefined;
  if (!isList(gdt) || gdt.length > 14 || !gdt.every(n => isWhole(n, 0, count))) throw damaged('gdt');
  if (!isList(ldtPages) || ldtPages.length !== tables.ldtPages.length) throw damaged('ldt');
  if (!ldtPages.every(n => isWhole(n, -1, count)) || base === undefined) throw damaged('ldt');
  if (!isWhole(gdtEntries, 0, 512 * 14 + 1) || !isWhole(ldtEntries, 0, 8193)) throw damaged('descriptor tables');
  if (
    !isWhole(clock, 1, 2 ** 32) ||
    !isWhole(owned, 0, count + 1) ||
    !isWhole(ownedMax, 0, count + 1) ||
    !isWhole(freeFrom, 0, count + 1)
  )
    throw damaged('numbers');
  core.tables = { gdt: gdt.map(asFrame), gdtEntries, ldtBase: base, ldtEntries, ldtPages: [...ldtPages] };
  core.pending = unpackPending(pending, count);
  core.clock = clock;
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
