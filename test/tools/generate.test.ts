import { expect, it } from 'vitest';
import { BLOCK_BYTES, type Block, blockOver } from '../../src/events/block.js';
import { KIND, KIND_NAMES, KINDS } from '../../src/events/kinds.js';
import { Log } from '../../src/events/log.js';
import { columnSpecs } from '../../src/events/schema.js';
import { encodeBlock } from '../../src/recording/body-encode.js';
// @ts-expect-error plain JavaScript, no types
import { generate } from '../../tools/bench/generate.mjs';
// @ts-expect-error plain JavaScript, no types
import { Tape } from '../../tools/bench/tape.mjs';

it('writes the mix it promises, with at least 30 % of changed words random, the same for the same seed', () => {
  const run = () => {
    const counts = new Uint32Array(KIND_NAMES.length);
    const block = blockOver(new ArrayBuffer(BLOCK_BYTES));
    const sink = {
      swap: (full: Block): Block => {
        for (let i = 0; i < full.count; i++) counts[full.kind[i]!]!++;
        return full;
      },
    };
    const log = new Log(sink, block);
    const { randomShare } = generate(log, KIND, { events: 300_000, seed: 7 });
    log.flush();
    return { counts, randomShare, events: log.seq };
  };
  const { counts, randomShare, events } = run();
  const share = (...kinds: (keyof typeof KIND)[]): number => kinds.reduce((n, k) => n + counts[KIND[k]]!, 0) / events;
  expect(events).toBe(300_000);
  expect(share('regs')).toBeCloseTo(0.45, 1);
  expect(share('pte')).toBeCloseTo(0.27, 1);
  expect(share('type', 'typecount', 'total', 'pinned', 'validated')).toBeCloseTo(0.19, 1);
  expect(share('call', 'result')).toBeCloseTo(0.04, 1);
  expect(randomShare).toBeGreaterThanOrEqual(0.3);
  expect(run().counts).toEqual(counts);
});

it('tells from a tape what it told to the tape', () => {
  const told: Uint8Array[] = [];
  const newLog = (): Log =>
    new Log(
      {
        swap: full => {
          told.push(encodeBlock(full));
          return blockOver(new ArrayBuffer(BLOCK_BYTES));
        },
      },
      blockOver(new ArrayBuffer(BLOCK_BYTES)),
    );
  const first = newLog();
  generate(first, KIND, { events: 40_000, seed: 8 });
  first.flush();
  const once = told.splice(0);
  const tape = new Tape({ KINDS, KIND_NAMES, columnSpecs, Log, BLOCK_BYTES, blockOver });
  generate(tape.log, KIND, { events: 40_000, seed: 8 });
  tape.log.flush();
  const again = newLog();
  tape.play(again);
  again.flush();
  expect(once.length).toBeGreaterThan(2);
  expect(told.map(bytes => Buffer.from(bytes).toString('hex'))).toEqual(
    once.map(bytes => Buffer.from(bytes).toString('hex')),
  );
});
