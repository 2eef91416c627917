/**
 * Counts references anew, from raw memory and from what the guest holds otherwise, with nothing of the frame table but what
 * is a validated table of which level and who was pinned: what types and counts ought to be.
 */
import { expect } from 'vitest';
import { asPaddr } from '../../../../src/base/brand.js';
import type { Event } from '../../../../src/events/kinds.js';
import type { SavedMm } from '../../../../src/systems/xen/model/mm/index.js';
import type { World } from './world.js';

const PINNED = 1;
const VALIDATED = 2;
const PARTIAL = 4;
const ALLOCATED = 8;
const XEN_HEAP = 16;
const PARTIAL_SET = 32;

/** Throws where types and counts are not what references make them. */
export function recount({ mm, domain, memory }: World): void {
  const { frames } = mm;
  const saved: SavedMm = mm.save();
  const total = new Map<number, number>();
  const typed = new Map<number, Map<number, number>>();
  const linear = new Map<number, number>();
  const add = (map: Map<number, number>, key: number, by = 1): void => void map.set(key, (map.get(key) ?? 0) + by);
  const refer = (frame: number, type?: number): void => {
    add(total, frame);
    if (type === undefined) return;
    const types = typed.get(frame) ?? new Map<number, number>();
    typed.set(frame, types);
    add(types, type);
  };
  const isTable = (n: number): boolean => frames.type[n]! >= 1 && frames.type[n]! <= 4;

  for (let n = 0; n < frames.count; n++) {
    const flags = frames.flags[n]!;
    if (flags & ALLOCATED) refer(n, flags & XEN_HEAP ? frames.type[n]! : undefined);
    if (flags & PINNED) refer(n, frames.type[n]!);
    if (flags & PARTIAL) refer(n, frames.type[n]!);
    if (!isTable(n) || !(flags & (VALIDATED | PARTIAL))) continue;
    const level = frames.type[n]!;
    const end = flags & PARTIAL ? frames.entriesDone[n]! : 512;
    for (let i = 0; i < 512; i++) {
      if (!(memory.guest[n * 4096 + 8 * i]! & 1)) continue;
      const entry = memory.read(asPaddr(n * 4096 + 8 * i), 8);
      if (level === 4 && i >= 256 && i < 272) continue;
      const target = Number((entry >> 12n) & 0xff_ffff_ffffn);
      if (i === end && flags & PARTIAL && flags & PARTIAL_SET && target !== n) refer(target);
      if (i >= end) continue;
      if (level === 1) refer(target, entry & 2n ? 7 : undefined);
      else if (target !== n) {
        const same = frames.type[target] === level;
        refer(target, same ? level : level - 1);
        if (same && flags & VALIDATED) {
          add(linear, n);
          add(linear, target, -1);
        }
      }
    }
  }
  for (const root of [domain.kernelRoot, domain.userRoot]) if (root !== 0) refer(root, 4);
  for (const frame of [...saved.gdt, ...saved.ldtPages.filter(n => n >= 0)]) refer(frame, 5);
  if (saved.pending) refer(saved.pending.mfn, saved.pending.partial ? undefined : frames.type[saved.pending.mfn]!);

  for (let n = 0; n < frames.count; n++) {
    const types = [...(typed.get(n) ?? [])];
    const wanted = types[0]?.[1] ?? 0;
    if (wanted === 0 && types.length === 0 && frames.total[n] === (total.get(n) ?? 0) && frames.typeCount[n] === 0)
      continue;
    const name = `frame ${n}`;
    expect(types.length, `${name}: one type at a time`).toBeLessThan(2);
    expect({ name, total: frames.total[n], count: frames.typeCount[n] }).toEqual({
      name,
      total: total.get(n) ?? 0,
      count: wanted,
    });
    if (wanted === 0) continue;
    expect(frames.type[n], name).toBe(types[0]![0]);
    expect(frames.flags[n]! & (VALIDATED | PARTIAL), name).not.toBe(0);
    if (isTable(n) && frames.flags[n]! & VALIDATED) expect(frames.linear[n], `${name} linear`).toBe(linear.get(n) ?? 0);
  }
}

/** A fold of events alone, which must say what the machine says. */
export class Told {
  private readonly numbers = new Map<string, number>();
  private readonly tables = new Map<number, { level: number; entries: bigint[] }>();

  fold(events: readonly Event[]): void {
    for (const e of events)
      switch (e.kind) {
        case 'type':
        case 'typecount':
        case 'total':
        case 'validated':
        case 'pinned':
        case 'partial': {
          const key = `${e.kind} ${e.frame}`;
          const [old, now] = [Number(e.old), Number(e.new)];
          expect(this.numbers.get(key) ?? 0, `${key} before`).toBe(old);
          expect(now, `${key} changes`).not.toBe(old);
          this.numbers.set(key, now);
          break;
        }
        case 'adopt':
          expect(this.tables.has(e.table), `table ${e.table} is new`).toBe(false);
          this.tables.set(e.table, { level: e.level, entries: [...e.entries] });
          break;
        case 'release':
          expect(this.tables.get(e.table), `table ${e.table} as it was`).toEqual({
            level: e.level,
            entries: [...e.entries],
          });
          this.tables.delete(e.table);
          break;
        case 'pte': {
          const table = this.tables.get(e.table);
          expect(table?.level, `level of table ${e.table}`).toBe(e.level);
          expect(table!.entries[e.offset / 8]).toBe(e.old);
          table!.entries[e.offset / 8] = e.new;
          break;
        }
      }
  }
  check({ mm, memory }: World): void {
    const { frames } = mm;
    const number = (kind: string, n: number): number => this.numbers.get(`${kind} ${n}`) ?? 0;
    for (let n = 0; n < frames.count; n++) {
      const flags = frames.flags[n]!;
      expect([
        n,
        number('type', n),
        number('typecount', n),
        number('total', n),
        number('pinned', n),
        number('validated', n),
        number('partial', n),
      ]).toEqual([
        n,
        frames.type[n],
        frames.typeCount[n],
        frames.total[n],
        flags & PINNED ? 1 : 0,
        flags & VALIDATED ? 1 : 0,
        flags & PARTIAL ? 1 : 0,
      ]);
      expect(this.tables.get(n)?.level ?? 0, `level of ${n}`).toBe(frames.tableLevel(n as never));
    }
    for (const [n, { entries }] of this.tables)
      expect(
        Array.from({ length: 512 }, (_, i) => memory.read(asPaddr(n * 4096 + 8 * i), 8)),
        `entries of ${n}`,
      ).toEqual(entries);
  }
}
