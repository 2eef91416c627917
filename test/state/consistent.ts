/**
 * Random recordings that are consistent: every old value is what the state then was, every table is adopted before it is
 * written, or never. Small ranges of everything, so that things happen to the same place again and again.
 */
import type { Draft, Space } from '../../src/events/kinds.js';
import { FRAME_KINDS, NO_FRAME } from '../../src/events/kinds.js';

/** Mulberry32, a small seeded generator; returns below n. */
export function dice(seed: number): (n: number) => number {
  let a = seed | 0;
  return n => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** Protection, object and offset of each page of a process: the model that `was` lists are made from. */
type Pages = Map<number, { protection: number; object: number; offset: number }>;
const PAGE = 4096n;

/** What the range holds in the model, as five words a range. */
function wasOf(pages: Pages, from: number, to: number): bigint[] {
  const out: bigint[] = [];
  for (let page = from; page < to; page++) {
    const p = pages.get(page);
    if (p) out.push(BigInt(page) * PAGE, PAGE, BigInt(p.protection), BigInt(p.object), BigInt(p.offset));
  }
  return out;
}

/** Entries of 4-level tables: levels by frame, so that walks make sense. Frames 16.. are tables, 64.. memory. */
export const TABLE_LEVELS = [4, 4, 3, 3, 2, 2, 1, 1, 1, 1] as const;
export const FIRST_TABLE = 16;
const SLOTS = [0, 1, 2, 63, 255, 256, 510, 511] as const;
/** A frame whose memory no event adopts, and that is written all the same. */
export const NEVER_ADOPTED = 40;

/** `n` events and an end, the same for the same seed. Two vcpus. */
export function consistentDrafts(seed: number, n: number): Draft[] {
  const roll = dice(seed);
  const drafts: Draft[] = [];
  const values = new Map<string, bigint>();
  const was = (key: string, none = 0n): bigint => values.get(key) ?? none;
  const set = (key: string, value: bigint): bigint => {
    values.set(key, value);
    return value;
  };
  const adopted = new Map<string, bigint[]>();
  const hosts: Pages[] = [new Map(), new Map()];
  const tasks = new Map<number, [number, string]>();
  let ticks = 100;

  const entryFor = (level: number): bigint => {
    const r = roll(10);
    if (r === 0) return 0n;
    const flags = BigInt([0x067, 0x027, 0x065, 0x005, 0x003][roll(5)]!) | (roll(3) === 0 ? 1n << 63n : 0n);
    if (level > 1 && r > 1) {
      const under = TABLE_LEVELS.map((l, i) => [l, i] as const).filter(([l]) => l === level - 1);
      return (BigInt(FIRST_TABLE + under[roll(under.length)]![1]) << 12n) | flags;
    }
    const large = (level === 2 || level === 3) && roll(2) === 0 ? 0x80n : 0n;
    // Anything at all, now and then: a table that is its own child, a frame nobody knows.
    return ((large ? BigInt(roll(4)) << 30n : BigInt(r === 2 ? roll(60) : 64 + roll(32)) << 12n) | flags | large) & ~0n;
  };
  const tableOf = (): { space: Space; table: number; level: number; key: string } => {
    const at = roll(TABLE_LEVELS.length);
    const space: Space = roll(5) === 0 ? 'shadow' : 'guest';
    return { space, table: FIRST_TABLE + at, level: TABLE_LEVELS[at]!, key: `${space} ${at}` };
  };

  const makers: Record<string, () => object | undefined> = {
    console: () => ({ kind: 'console', from: 'guest', text: `line ${roll(100)}\n` }),
    idle: () => ({ kind: 'idle', skipped: BigInt(roll(1000)) }),
    input: () => ({ kind: 'input', text: 'x' }),
    trap: () => ({ kind: 'trap', vector: 14, error: 2, at: 0x1000n, pc: 0x2000n, user: true, stack: 0 }),
    trapret: () => ({ kind: 'trapret', pc: 0x2000n, user: true }),
    interrupt: () => ({ kind: 'interrupt', vector: 32, pc: 0x2000n, user: false }),
    flush: () => ({ kind: 'flush', scope: 'all', at: 0n }),
    call: () => ({ kind: 'call', class: 0, number: roll(4), args: [BigInt(roll(9))], stack: roll(2) }),
    result: () => ({ kind: 'result', value: 0n }),
    batch: () => ({ kind: 'batch', style: 0, count: 2 }),
    entry: () => ({ kind: 'entry', index: 1, class: 0, number: 1, args: [], queued: 7n, stack: 0 }),
    regs: () => {
      const mask = BigInt(roll(0x4000)) | (BigInt(roll(4)) << 35n) | (BigInt(roll(2)) << 63n);
      const count = mask.toString(2).replaceAll('0', '').length;
      return {
        kind: 'regs',
        mask,
        values: Array.from({ length: count }, () => BigInt(roll(2 ** 31)) << 20n),
        olds: [],
      };
    },
    root: () => {
      const [space, role, vcpu] = ['guest' as const, roll(2) ? 'kernel' : 'user', roll(2)];
      const key = `root ${role} ${vcpu}`;
      const old = was(key, BigInt(NO_FRAME));
      const now = set(key, roll(6) === 0 ? BigInt(NO_FRAME) : BigInt(FIRST_TABLE + roll(2)));
      return { kind: 'root', vcpu, space, role, old: Number(old), new: Number(now) };
    },
    descriptor: () => {
      const [table, index, vcpu] = [['gdt', 'idt', 'ldt', 'trap'][roll(4)]!, roll(4) * 100, roll(2)];
      const key = `descriptor ${table} ${index} ${vcpu}`;
      return { kind: 'descriptor', vcpu, table, index, old: was(key), new: set(key, BigInt(roll(2 ** 31)) << 30n) };
    },
    msr: () => {
      const [register, vcpu] = [[0x10, 0xc000_0080, 0xc000_0101][roll(3)]!, roll(2)];
      const key = `msr ${register} ${vcpu}`;
      return { kind: 'msr', vcpu, register, old: was(key), new: set(key, BigInt(roll(2 ** 31)) << 30n) };
    },
    pte: () => {
      const { space, table, level, key } = tableOf();
      const bare = roll(12) === 0;
      const entries = adopted.get(key);
      if (!entries && !bare) return undefined;
      const slot = SLOTS[roll(SLOTS.length)]!;
      const now = entryFor(bare ? 1 : level);
      const head = { kind: 'pte', space, offset: slot * 8, bytes: 8, path: roll(2), stack: roll(2), new: now };
      if (bare) {
        const k = `bare ${space} ${slot}`;
        const old = was(k);
        set(k, now);
        return { ...head, table: NEVER_ADOPTED, level: 1, old };
      }
      const old = entries![slot]!;
      entries![slot] = now;
      return { ...head, table, level, old };
    },
    adopt: () => {
      const { space, table, level, key } = tableOf();
      const head = { space, table, offset: 0, level, bytes: 8, format: 0 };
      const entries = adopted.get(key);
      if (entries) {
        if (roll(4)) return undefined;
        adopted.delete(key);
        return { kind: 'release', ...head, entries };
      }
      const fresh = Array.from({ length: 512 }, (_, i) =>
        (SLOTS as readonly number[]).includes(i) && roll(2) ? entryFor(level) : 0n,
      );
      adopted.set(key, fresh);
      return { kind: 'adopt', ...head, entries: [...fresh] };
    },
    m2p: () => {
      const machine = roll(100);
      const old = was(`m2p ${machine}`, BigInt(NO_FRAME));
      return { kind: 'm2p', machine, old: Number(old), new: Number(set(`m2p ${machine}`, BigInt(roll(100)))) };
    },
    p2m: () => {
      const guest = roll(100);
      const old = was(`p2m ${guest}`, BigInt(NO_FRAME));
      const now = set(`p2m ${guest}`, roll(4) ? BigInt(roll(100)) : BigInt(NO_FRAME));
      return { kind: 'p2m', guest, old: Number(old), new: Number(now) };
    },
    frame: () => {
      const kind = FRAME_KINDS[roll(FRAME_KINDS.length)]!;
      const frame = 64 + roll(8);
      const key = `${kind} ${frame}`;
      if (kind === 'type' || kind === 'typecount' || kind === 'total') {
        const old = Number(was(key));
        const now = kind === 'type' ? roll(7) : Math.max(0, old + roll(3) - 1) + (roll(50) ? 0 : 0x9000_0000);
        return { kind, frame, old, new: Number(set(key, BigInt(now % 2 ** 32))) };
      }
      const old = was(key) === 1n;
      set(key, old ? 0n : 1n);
      return { kind, frame, old, new: !old };
    },
    host: () => {
      const process = roll(2);
      const pages = hosts[process]!;
      const from = 1000 + roll(24);
      const to = from + 1 + roll(6);
      const head = { process, at: BigInt(from) * PAGE, length: BigInt(to - from) * PAGE, was: wasOf(pages, from, to) };
      const protection = 1 + roll(2);
      const how = roll(4);
      if (how < 2) {
        const [object, offset] = [roll(2), (from - roll(2)) * 4096];
        for (let p = from; p < to; p++) pages.set(p, { protection, object, offset: offset + (p - from) * 4096 });
        return { kind: 'map', ...head, protection, object, offset: BigInt(offset) };
      }
      if (how === 2) {
        for (let p = from; p < to; p++) pages.delete(p);
        return { kind: 'unmap', ...head };
      }
      for (let p = from; p < to; p++) if (pages.has(p)) pages.set(p, { ...pages.get(p)!, protection });
      return { kind: 'protect', ...head, protection };
    },
    port: () => {
      const [kind, port] = [roll(2) ? 'pending' : 'mask', roll(80)];
      const old = was(`${kind} ${port}`) === 1n;
      set(`${kind} ${port}`, old ? 0n : 1n);
      return { kind, port, old, new: !old };
    },
    task: () => {
      const vcpu = roll(2);
      const [old, oldName] = tasks.get(vcpu) ?? [0, ''];
      const pid = roll(5);
      tasks.set(vcpu, [pid, `task${pid}`]);
      return { kind: 'task', vcpu, old, oldName, pid, name: `task${pid}` };
    },
  };
  const names = [...Object.keys(makers), 'pte', 'pte', 'pte', 'pte', 'regs', 'regs', 'frame', 'frame', 'host', 'adopt'];

  const add = (event: object): void => {
    const cause = roll(3) === 0 && drafts.length > 0 ? drafts.length - 1 - roll(Math.min(8, drafts.length)) : -1;
    drafts.push({ vcpu: roll(2), cause, ticks, ...event } as unknown as Draft);
  };
  add({ kind: 'start', text: `seed ${seed}` });
  while (drafts.length < n) {
    const event = makers[names[roll(names.length)]!]!();
    if (!event) continue;
    ticks += roll(5);
    add(event);
  }
  add({ kind: 'end', how: 'halted', reason: 'done' });
  return drafts;
}
