/**
 * Whatever the engine keeps between instructions (decoded blocks, links, fast tags) is a cache: random programs that patch
 * themselves give the same registers, TLBs, memory, ticks and ends of runs with it and without, in one run and in pieces.
 */
import { expect, test } from 'vitest';
import { takeCheckpoint } from '../../../src/machine/engine/checkpoint.js';
import { Random, runTo, type World, whole, worldOf } from './patching-program.js';

const SEED = Number(process.env.REWALK_SEED ?? 1);
const TICKS = 3000;

/** Runs the program of a seed in one go, and again in another way; all must be the same. */
function compare(seed: number, ticks: number, way: (world: World) => void): World {
  const [one, other] = [worldOf(seed), worldOf(seed)];
  one.run(ticks, until => runTo(one.cpu, until));
  way(other);
  const where = `program ${seed}`;
  expect(other.story, where).toEqual(one.story);
  const [a, b] = [whole(one.cpu), whole(other.cpu)];
  expect(b.ticks, where).toBe(a.ticks);
  expect(Buffer.compare(a.state, b.state), `${where}: registers or TLB`).toBe(0);
  expect(Buffer.compare(a.memory, b.memory), `${where}: memory`).toBe(0);
  return one;
}

test('without any decoded block kept, instruction by instruction', () => {
  let invalidated = 0;
  let stories = 0;
  for (let n = 0; n < 24; n++) {
    const one = compare(SEED * 1000 + n, 1000, other => {
      other.run(1000, () => {
        other.cpu.machine.code.reset();
        return other.cpu.machine.step();
      });
    });
    invalidated += one.cpu.machine.code.invalidated;
    stories += one.story.length;
  }
  // The programs are worth it: they patch what they execute, and come to ends.
  expect(invalidated).toBeGreaterThan(1000);
  expect(stories).toBeGreaterThan(500);
});

test('stopped at random ticks', () => {
  for (let n = 0; n < 60; n++) {
    const random = new Random(SEED + n);
    compare(SEED * 2000 + n, TICKS, other => {
      for (let at = 0; at < TICKS; ) {
        at = Math.min(TICKS, at + 1 + random.below(random.of([3, 40, 100, 1000])));
        other.run(at, until => {
          const exit = runTo(other.cpu, until);
          if (exit.kind === 'limit') expect(other.cpu.machine.ticks).toBe(until);
          return exit;
        });
      }
    });
  }
});

test('with caches dropped, checkpoints taken and everything decoded anew at random ticks', () => {
  for (let n = 0; n < 40; n++) {
    const random = new Random(SEED + n);
    compare(SEED * 3000 + n, TICKS, other => {
      const { cpu } = other;
      for (let at = 0; at < TICKS; ) {
        at = Math.min(TICKS, at + 1 + random.below(200));
        other.run(at, until => runTo(cpu, until));
        random.of([
          () => cpu.memory.tlb.dropFast(),
          () => cpu.memory.tlb.dropAllWrites(),
          () => takeCheckpoint(cpu),
          () => cpu.machine.code.reset(),
        ])();
      }
    });
  }
});

test('one by one through the steps of detail', () => {
  for (let n = 0; n < 30; n++)
    compare(SEED * 4000 + n, TICKS, other => {
      other.run(TICKS, () => other.cpu.machine.step());
    });
});
