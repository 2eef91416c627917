/**
 * Detail of a stretch of a recording, entry by entry, for whoever shows it: from a re-run, whether or not the recording has
 * a detail stream.
 */
import { asVaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { drive } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import type { Event } from '../events/kinds.js';
import { isaOf } from '../isa/index.js';
import type { Detail, Rerun } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
import { rerunDetail } from './rerun.js';
import { findStore, stackAt } from './stores.js';

const SLICE_MS = 8;

/** Runs stretches of a recording again. The iteration rejects with the signal's reason when it is aborted. */
export function rerunOf(source: Source): Rerun {
  return {
    store: (at, from, before, options) => drive(findStore(source, at, from, before), options),
    stack: (seq, ticks, options) => drive(stackAt(source, seq, ticks), options),
    async *detail(from, to, { signal, onProgress } = {}) {
      const isa = isaOf(source.header.isa);
      if (!isa) throw new Trouble(`${source.name}: no processor is called ${source.header.isa}`);
      const ready: Detail[] = [];
      let pc = asVaddr(0n);
      let seq = -1;
      let sub = 0;
      const take = (block: Block): void => {
        for (let i = 0; i < block.count; i++) {
          const e = eventAt(block, i);
          const after = block.first + block.back[i]! - 1;
          sub = after === seq ? sub + 1 : 1;
          seq = after;
          const what = whatOf(e);
          if (after >= from && after < to) ready.push({ seq, sub, ticks: e.ticks, vcpu: e.vcpu, pc, what });
          if (what.kind !== 'step') continue;
          for (const [register, value] of what.registers) if (register === isa.roles.pc) pc = asVaddr(value);
        }
      };
      let sliceEnd = performance.now() + SLICE_MS;
      for (const progress of rerunDetail(source, from, to, take)) {
        yield* ready.splice(0);
        if (performance.now() < sliceEnd) continue;
        onProgress?.(progress);
        await new Promise(resolve => setImmediate(resolve));
        signal?.throwIfAborted();
        sliceEnd = performance.now() + SLICE_MS;
      }
      yield* ready;
    },
  };
}

function whatOf(e: Event): Detail['what'] {
  switch (e.kind) {
    case 'step': {
      const registers: [number, bigint][] = [];
      let item = 0;
      for (let register = 0; register < 64; register++)
        if ((e.mask >> BigInt(register)) & 1n) registers.push([register, e.values[item++]!]);
      return { kind: 'step', registers };
    }
    case 'store':
      return { kind: 'store', at: e.at, physical: e.physical, bytes: e.bytes, old: e.old, new: e.new };
    case 'fill':
      return { kind: 'fill', at: e.at, frame: e.frame, bytes: e.bytes, flags: e.flags };
  }
  throw new Error(`internal error: ${e.kind} in a detail stream`);
}
