/**
 * Runs the rules over a recording. They must hold at every return to the guest: what is broken then is a violation. What is
 * broken only between two entries of a batch is a window, in which Xen, or another processor, could see it. Inside one entry
 * nothing is judged.
 *
 *   call   batch   entry 0  pte type   entry 1  pte type   result | regs call ...
 *                         ^ not looked at     ^ window            ^ violation
 */
import type { Work } from '../../../base/work.js';
import { causeAt } from '../../../events/block.js';
import { KIND, KIND_NAMES, type KindName } from '../../../events/kinds.js';
import type { Source } from '../../../recording/source.js';
import type { Checked, Violation } from '../../../rules/system.js';
import { CLASS, HYPERCALL } from '../names.js';
import { type Broken, Invariants, RULES } from './invariants.js';
import { World } from './world.js';

/** Kinds that say nothing about where the guest is. */
const ASIDE = new Set<KindName>(['regs', 'console', 'flush', 'idle', 'input', 'task', 'fill', 'store', 'step']);
const aside = Uint8Array.from(KIND_NAMES, name => Number(ASIDE.has(name)));
/**
 * Calls in which references come and go that no table, pin or root has: Xen keeps the page of a vcpu_info for itself (map_vcpu_info),
 * the frames of a grant table, or those a guest gives it to write to: event channels, ends of interrupts.
 */
const HOST_CALLS: ReadonlySet<number> = new Set([
  HYPERCALL.vcpu_op,
  HYPERCALL.grant_table_op,
  HYPERCALL.event_channel_op,
  HYPERCALL.physdev_op,
]);
const isHostCall = (c: { readonly class: Uint8Array; readonly number: Uint32Array }, row: number): boolean =>
  c.class[row] === CLASS.hypercall && HOST_CALLS.has(c.number[row]!);
/** Findings that are kept; more are counted. */
const FOUND_MAX = 1000;
const YIELD_EVERY = 4096;

/**
 * Every violation and every window, in order.
 * @param all false to stop at the first violation
 */
export function* check(source: Source, all: boolean): Work<Checked> {
  const world = new World();
  const rules = new Invariants(world);
  const violations: Violation[] = [];
  const windows: Violation[] = [];
  const counted = { violations: 0, windows: 0 };
  const known = new Set<string>();
  /** Broken at the end of an entry, and not yet at a return. */
  const open = new Map<string, Broken>();

  const between = (): void => {
    rules.look();
    for (const [key, b] of rules.broken) if (!known.has(key)) open.set(key, b);
  };
  /** The guest runs on after event `at`. */
  const settle = (at: number): void => {
    rules.look();
    for (const [key, b] of open) {
      if (rules.broken.has(key)) continue;
      counted.windows++;
      if (windows.length < FOUND_MAX) windows.push(found(b, at));
    }
    open.clear();
    for (const key of known) if (!rules.broken.has(key)) known.delete(key);
    for (const [key, b] of rules.broken) {
      if (known.has(key)) continue;
      known.add(key);
      counted.violations++;
      if (violations.length < FOUND_MAX) violations.push(found(b, at));
    }
  };

  let inside = -1;
  let judged = 0;
  for (let n = 0; n < source.chunks.length; n++) {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) {
      const kind = block.kind[i]!;
      const seq = block.first + i;
      if (!aside[kind]) {
        const cause = causeAt(block, i);
        if (inside >= 0 && cause >= inside) {
          if (kind === KIND.entry) {
            between();
            world.hostCall = isHostCall(block.col.entry, block.row[i]!);
          }
        } else {
          settle(seq - 1);
          // Handlers of traps and system calls are guest code; a call is the host's work, and so is a write by itself.
          const guest =
            kind === KIND.trap ||
            kind === KIND.trapret ||
            kind === KIND.interrupt ||
            (kind === KIND.call && block.col.call.class[block.row[i]!] === CLASS.syscall);
          inside = guest ? -1 : seq;
          world.hostCall = kind === KIND.call && isHostCall(block.col.call, block.row[i]!);
          rules.crossing = seq;
          if (!all && violations.length > 0) return done();
        }
      }
      world.take(block, i);
      if (++judged % YIELD_EVERY === 0) yield { done: judged, total: source.count };
    }
  }
  settle(source.count - 1);
  return done();

  function done(): Checked {
    violations.sort((a, b) => a.seq - b.seq);
    return { rules: RULES, events: judged, violations, windows, counted };
  }
}

const found = ({ rule, seq, frame, text, entries }: Broken, until: number): Violation => ({
  rule,
  seq,
  until,
  frame,
  text,
  entries,
});
