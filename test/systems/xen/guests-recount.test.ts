/**
 * The built-in guests once more, held to what they cannot hide: whenever Xen has done with a call or a trap and the guest goes
 * on, references are counted anew from raw memory, and must be what the frame table says; and what the events say, folded, is
 * what the machine has.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { asTicks } from '../../../src/base/brand.js';
import { GUESTS, imageOf } from '../../../src/cli/built-in.js';
import type { Event, EventMap } from '../../../src/events/kinds.js';
import { XEN } from '../../../src/systems/xen/model/index.js';
import type { Xen } from '../../../src/systems/xen/model/xen.js';
import { listening } from './guest.js';
import { recount, Told } from './mm/recount.js';
import type { World } from './mm/world.js';

/** Xen has tables of its own, which are in no frame table. */
const isTable = (e: Event): e is EventMap['adopt' | 'release' | 'pte'] =>
  e.kind === 'adopt' || e.kind === 'release' || e.kind === 'pte';
/** Folding and comparing everything is dear: every so many exits, and at the end. */
const COMPARE_EVERY = 200;

test.for(GUESTS.filter(g => g.name.startsWith('xen/')))(
  'types and counts of $name are what references make them, after everything Xen does for it',
  ({ name, memoryBytes, ends = 'halted' }) => {
    const { log, events } = listening();
    const image = readFileSync(imageOf({ name, summary: '' }));
    const boot = { image, name, guest: name, memoryBytes: memoryBytes! };
    const xen = XEN.boot(boot).start({ log, intern: () => 0 }) as Xen;
    const world = { mm: xen.mm, domain: xen, memory: xen.memory } as unknown as World;
    const told = new Told();
    let folded = 0;
    const compare = (): void => {
      log.flush();
      told.fold(events.slice(folded).filter(e => !isTable(e) || e.table >= xen.layout.domain));
      folded = events.length;
      told.check(world);
    };
    // Registers are told twice for each exit: where the guest comes to Xen, and where it goes on.
    const inner = xen as unknown as { crossing(): void };
    const crossing = inner.crossing.bind(xen);
    let crossings = 0;
    inner.crossing = () => {
      crossing();
      if (++crossings % 2 === 1) return;
      recount(world);
      if (crossings % (2 * COMPARE_EVERY) === 0) compare();
    };
    let paused = xen.run(asTicks(5e6));
    while (paused === 'busy') paused = xen.run(asTicks(5e6));
    expect(paused).toMatchObject({ how: ends });
    expect(crossings).toBeGreaterThan(80);
    recount(world);
    compare();
  },
);
