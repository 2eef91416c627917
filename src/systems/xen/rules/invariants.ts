/**
 * What must hold of a PV domain whenever its guest runs, over state alone. Each rule looks at what changed, and keeps by name
 * what it found broken until it holds again.
 */
import { hex } from '../../../base/u64.js';
import { NO_FRAME } from '../../../events/kinds.js';
import type { Violation } from '../../../rules/system.js';
import { TYPE } from '../names.js';
import { TYPE_NAMES } from '../typeword.js';
import { Pairs } from './pairs.js';
import { type FrameFacts, USER_SLOTS, type World } from './world.js';

export interface Broken {
  /** Which rule, and of what: the same while the same thing stays broken. */
  readonly rule: RuleId;
  readonly key: string;
  /** The event that broke it. */
  readonly seq: number;
  readonly frame: number;
  readonly text: string;
  readonly entries?: Violation['entries'];
}

export const RULES = {
  'writable-table': 'no frame is writable and a page table at once',
  counts: 'counts are the references that exist',
  pinned: 'what is pinned is a validated page table',
  'user-l4': 'below the limit a user L4 says what its kernel L4 says, and is pinned exactly when that is',
  'xen-slots': 'the guest changes nothing in Xen’s slots of an L4',
  'm2p-p2m': 'M2P and P2M agree',
} as const;
export type RuleId = keyof typeof RULES;

const isTable = (f: FrameFacts): boolean => f.type >= TYPE.l1 && f.type <= TYPE.l4;
const ACCESSED_DIRTY = 0x60n;
const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
const typeName = (type: number): string => TYPE_NAMES[type] ?? `type ${type}`;

export class Invariants {
  readonly broken = new Map<string, Broken>();
  private readonly world: World;
  private readonly pairs = new Pairs();
  /** Where the call or batch in which the guest is began. */
  crossing = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** Looks at what changed since the last time. */
  look(): void {
    const { world } = this;
    const pair = this.pairs.loaded(world, this.crossing);
    if (pair) for (let slot = 0; slot < USER_SLOTS; slot++) world.dirtySlots.add(pair.kernel * 512 + slot);
    if (pair) this.pinnedTogether(pair.kernel);
    const frames = world.partial.size === 0 && this.held ? [...this.held, ...world.dirtyFrames] : world.dirtyFrames;
    for (const n of frames) {
      const f = world.frames.get(n)!;
      this.writableTable(n, f);
      this.pinned(n, f);
      if (world.started && world.partial.size === 0) this.counts(n, f);
      this.pinnedTogether(n);
    }
    this.hold();
    for (const at of world.dirtySlots) this.sameEntry(Math.floor(at / 512), at % 512);
    for (const { seq, table, slot } of world.trespasses)
      this.say('xen-slots', `${table}.${slot}.${seq}`, seq, table, `slot ${slot} of L4 ${hex(table)} is Xen’s`);
    for (const [machine, seq] of world.dirtyM2p) this.agree(machine, seq);
    world.clean();
  }

  /** Frames whose counts could not be judged, since something is partial. */
  private held: Set<number> | undefined;
  private hold(): void {
    const { partial, dirtyFrames } = this.world;
    if (partial.size === 0) this.held = undefined;
    else {
      this.held ??= new Set();
      for (const n of dirtyFrames) this.held.add(n);
    }
  }

  private say(
    rule: RuleId,
    what: string,
    seq: number,
    frame: number,
    text: string,
    entries?: Violation['entries'],
  ): void {
    const key = `${rule} ${what}`;
    if (this.broken.get(key)?.text !== text) this.broken.set(key, { rule, key, seq, frame, text, entries });
  }
  private fine(rule: RuleId, what: string): void {
    this.broken.delete(`${rule} ${what}`);
  }

  private writableTable(n: number, f: FrameFacts): void {
    if (f.typecount === 0 || !isTable(f) || f.writableRefs === 0) {
      this.fine('writable-table', `${n}`);
      return;
    }
    const seq = Math.max(f.writableSince, f.typeSince);
    this.say(
      'writable-table',
      `${n}`,
      seq,
      n,
      `frame ${hex(n)} is an ${typeName(f.type)} page table and mapped writable by ${plural(f.writableRefs, 'entry').replace('entrys', 'entries')}`,
    );
  }
  private pinned(n: number, f: FrameFacts): void {
    if (!f.pinned || (isTable(f) && (f.validated || f.partial))) {
      this.fine('pinned', `${n}`);
      return;
    }
    this.say(
      'pinned',
      `${n}`,
      f.touched,
      n,
      `frame ${hex(n)} is pinned and ${isTable(f) ? `an ${typeName(f.type)} that is not validated` : typeName(f.type)}`,
    );
  }
  /**
   * Total: one for being allocated, and every entry, pin and root. Type count: what needs the type. What has a frame as part of
   * a GDT or LDT is in no table, but it counts in both alike. Of frames that were given back, being allocated no longer counts.
   */
  private counts(n: number, f: FrameFacts): void {
    const wrong: string[] = [];
    if (isTable(f) && f.typecount !== f.tableRefs)
      wrong.push(
        `has type count ${f.typecount} as ${typeName(f.type)}, and ${plural(f.tableRefs, 'reference')} to it as a table`,
      );
    if (f.type === TYPE.writable && f.typecount !== f.writableRefs + f.hostTypeRefs)
      wrong.push(`has type count ${f.typecount} as writable, and ${plural(f.writableRefs, 'writable mapping')}`);
    if (f.type === TYPE.none && f.typecount !== f.hostTypeRefs)
      wrong.push(`has type count ${f.typecount}, and no type`);
    if (!isTable(f) && f.tableRefs > 0)
      wrong.push(`is ${typeName(f.type)}, and ${plural(f.tableRefs, 'reference')} to it as a table exist`);
    if (f.type !== TYPE.writable && f.writableRefs > 0 && !isTable(f))
      wrong.push(`is ${typeName(f.type)}, and ${plural(f.writableRefs, 'writable mapping')} exist`);
    const descriptors = f.type === TYPE.seg_desc ? f.typecount : 0;
    const own = f.total - f.refs - f.hostRefs - descriptors;
    const guestFrame = this.world.m2p.get(n);
    const allocated = guestFrame !== undefined && guestFrame !== NO_FRAME;
    if (allocated ? own !== 1 : own < 0 || own > Math.max(1, f.baseRefs))
      wrong.push(
        `has total count ${f.total}, and ${plural(f.refs, 'reference')} exist${allocated ? ' besides being allocated' : ''}`,
      );
    if (wrong.length === 0) {
      this.fine('counts', `${n}`);
      return;
    }
    this.say('counts', `${n}`, f.touched, n, `frame ${hex(n)} ${wrong.join('; ')}`);
  }

  private sameEntry(table: number, slot: number): void {
    const pair = this.pairs.of(table);
    if (!pair || slot >= USER_SLOTS) return;
    const { kernel, user } = pair;
    const what = `${kernel}.${slot}`;
    const [k, u] = [this.world.tables.get(kernel), this.world.tables.get(user)];
    const [inKernel, inUser] = [this.world.entry(kernel, slot), this.world.entry(user, slot)];
    if (!k || !u || (inKernel & ~ACCESSED_DIRTY) === (inUser & ~ACCESSED_DIRTY)) {
      this.fine('user-l4', what);
      return;
    }
    const since = Math.max(k.since?.[slot] ?? -1, u.since?.[slot] ?? -1);
    this.say(
      'user-l4',
      what,
      since,
      user,
      `entry ${slot} is ${hex(inKernel)} in kernel L4 ${hex(kernel)} and ${hex(inUser)} in its user L4 ${hex(user)}`,
      { slot, kernel, user },
    );
  }
  private pinnedTogether(n: number): void {
    const pair = this.pairs.of(n);
    if (!pair) return;
    const [k, u] = [this.world.frames.get(pair.kernel), this.world.frames.get(pair.user)];
    const what = `${pair.kernel} pinned`;
    const live = (f: FrameFacts | undefined): boolean => f?.type === TYPE.l4 && f.typecount > 0;
    if (!live(k) && !live(u)) {
      this.fine('user-l4', what);
      for (let slot = 0; slot < USER_SLOTS; slot++) this.fine('user-l4', `${pair.kernel}.${slot}`);
      this.pairs.drop(pair);
      return;
    }
    if (k?.pinned === u?.pinned) {
      this.fine('user-l4', what);
      return;
    }
    const [yes, no] = k?.pinned ? ['kernel', 'user'] : ['user', 'kernel'];
    this.say(
      'user-l4',
      what,
      Math.max(k?.touched ?? -1, u?.touched ?? -1),
      pair.user,
      `the ${yes} L4 is pinned and its ${no} L4 is not (kernel ${hex(pair.kernel)}, user ${hex(pair.user)})`,
    );
  }
  private agree(machine: number, seq: number): void {
    const { m2p, p2m } = this.world;
    const guest = m2p.get(machine) ?? NO_FRAME;
    if (guest === NO_FRAME || !p2m.has(guest) || p2m.get(guest) === machine) {
      this.fine('m2p-p2m', `${machine}`);
      return;
    }
    const back = p2m.get(guest)!;
    this.say(
      'm2p-p2m',
      `${machine}`,
      seq,
      machine,
      `M2P says that machine frame ${hex(machine)} is guest frame ${hex(guest)}, and P2M that this is ${back === NO_FRAME ? 'none' : hex(back)}`,
    );
  }
}
