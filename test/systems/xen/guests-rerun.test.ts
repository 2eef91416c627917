/** The built-in guests run again: neither detail nor checkpoints leave a trace, and from any checkpoint the run is the same. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { finish } from '../../../src/base/work.js';
import { GUESTS, imageOf, recordingOf } from '../../../src/cli/built-in.js';
import type { Event } from '../../../src/events/kinds.js';
import { openRecording } from '../../../src/recording/reader.js';
import { rerunEvents } from '../../../src/session/rerun.js';
import { eventsIn, eventsOf, recorded } from '../../session/guests.js';

/** Ticks: some twenty checkpoints a run, none where anything in particular happens. */
const SPACING = 9_973;
/** The run goes on from every so many of them: a prime, like the spacing, so that no phase of a guest is always missed. */
const RERUN_EVERY = 5;

test.for(GUESTS.filter(g => g.name.startsWith('xen/')))(
  '$name is the same in any detail, with any checkpoints, and again from any of them',
  guest => {
    const { file } = recorded({
      system: 'xen',
      guest: guest.name.slice(4),
      image: readFileSync(imageOf(guest)),
      memoryBytes: guest.memoryBytes,
      detail: 'mmu',
      checkpointTicks: SPACING,
    });
    const often = openRecording(file);
    const golden = openRecording(recordingOf(guest)); // full detail, one checkpoint
    expect(often.chain).toBe(golden.chain);
    expect(often.checkpoints.length).toBeGreaterThan(3);
    golden.close();

    const whole = eventsOf(often);
    const stackOf = (e: Event, of: (id: number) => readonly bigint[]): string =>
      'stack' in e ? of(e.stack).join() : '';
    const plain = (e: Event): Event => ('stack' in e ? { ...e, stack: 0 } : e);
    often.checkpoints.forEach(({ seq }, n) => {
      if (n % RERUN_EVERY !== 1) return;
      const again: [Event, string][] = [];
      finish(
        rerunEvents(often, n, {
          block: (block, stack) => again.push(...eventsIn(block).map((e): [Event, string] => [e, stackOf(e, stack)])),
        }),
      );
      expect(again.length, `from checkpoint ${n}`).toBe(whole.length - seq);
      const differs = again.findIndex(([e, stack], i) => {
        const was = whole[seq + i]!;
        return stack !== stackOf(was, id => often.stack(id)) || !same(plain(e), plain(was));
      });
      if (differs >= 0) expect(again[differs]![0], `from checkpoint ${n}`).toEqual(whole[seq + differs]);
    });
    often.close();
  },
);

const text = (e: Event): string => JSON.stringify(e, (_, v) => (typeof v === 'bigint' ? `${v}n` : v));
const same = (a: Event, b: Event): boolean => text(a) === text(b);
