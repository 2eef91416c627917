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
  // Typed arrays: this runs after every call of every guest.
  const total = new Int32Array(frames.count);
  const typed = new Int32Array(8 * frames.count);
  const linear = new Int32Array(frames.count);
  const words = new Uint32Array(memory.guest.buffer, memory.guest.byteOffset, frames.count * 1024);
  const refer = (frame: number, type?: number): void => {
    if (frame >= frames.count) return;
    total[frame]!++;
    if (type !== undefined) typed[8 * frame + type]!++;
  };
  const isTable = (n: number): boolean => frames.type[n]! >= 1 && frames.type[n]! <= 4;

  for (let n = 0; n < frames.count; n++) {
    const flags = frames.flags[n]!;
    if (flags & ALLOCATED) refer(n);
    if (flags & XEN_HEAP) typed[8 * n + frames.type[n]!]!++; // what it is shared as stays, whatever the guest does
    if (flags & PINNED) refer(n, frames.type[n]!);
    if (flags & PARTIAL) refer(n, frames.type[n]!);
    if (!isTable(n) || !(flags & (VALIDATED | PARTIAL))) continue;
    const level = frames.type[n]!;
    const end = flags & PARTIAL ? frames.entriesDone[n]! : 512;
    for (let i = 0; i < 512; i++) {
      const [lo, hi] = [words[n * 1024 + 2 * i]!, words[n * 1024 + 2 * i + 1]!];
      if (!(lo & 1)) continue;
      if (level === 4 && i >= 256 && i < 272) continue;
      const target = (lo >>> 12) + (hi & 0xf_ffff) * 2 ** 20;
      if (i === end && flags & PARTIAL && flags & PARTIAL_SET && target !== n) refer(target);
      if (i >= end) continue;
      if (level === 1) refer(target, lo & 2 ? 7 : undefined);
      else if (target !== n) {
        const same = frames.type[target] === level;
        refer(target, same ? level : level - 1);
        if (same && flags & VALIDATED) {
          linear[n]!++;
          linear[target]!--;
        }
      }
    }
  }
  for (const root of [domain.kernelRoot, domain.userRoot]) if (root !== 0) refer(root, 4);
  for (const frame of saved.held ?? []) refer(frame, 7);
  for (const frame of [...saved.gdt, ...saved.ldtPages.filter(n => n >= 0)]) refer(frame, 5);
  if (saved.pending) refer(saved.pending.mfn, saved.pending.partial ? undefined : frames.type[saved.pending.mfn]!);

  for (let n = 0; n < frames.count; n++) {
    const types = typed.subarray(8 * n, 8 * n + 8);
    const type = types.findIndex(count => count > 0);
    const wanted = type < 0 ? 0 : types[type]!;
    const name = `frame ${n}`;
    if (types.some((count, other) => count > 0 && other !== type)) expect.fail(`${name}: one type at a time: ${types}`);
    if (frames.total[n] !== total[n] || frames.typeCount[n] !== wanted)
      expect({ name, total: frames.total[n], count: frames.typeCount[n] }).toEqual({
        name,
        total: total[n],
        count: wanted,
      });
    if (wanted === 0) continue;
    if (frames.type[n] !== type) expect(frames.type[n], name).toBe(type);
    if (!(frames.flags[n]! & (VALIDATED | PARTIAL))) expect.fail(`${name}: held and not validated`);
    if (isTable(n) && frames.flags[n]! & VALIDATED && frames.linear[n] !== linear[n])
      expect(frames.linear[n], `${name} linear`).toBe(linear[n]);
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
