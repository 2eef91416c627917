/** A checkpoint's state in the file: the machine's and the host's, one behind the other, the first with its length. */
import { Trouble } from '../base/trouble.js';
import { type Checkpoint, type Restorable, restoreCheckpoint, takeCheckpoint } from '../machine/engine/checkpoint.js';
import type { Host, Sinks } from '../machine/system.js';
import type { Source } from '../recording/source.js';
import { fromOutside, Repeated } from './repeated.js';
import { systemOf } from './systems.js';

/** Takes a checkpoint of a host, between runs. Its pages are to be used before the guest runs on. */
export function saveHost(host: Host): Checkpoint {
  const { ticks, state: machine, pages } = takeCheckpoint(host.owner);
  const saved = host.save();
  const state = new Uint8Array(4 + machine.length + saved.length);
  new DataView(state.buffer).setUint32(0, machine.length, true);
  state.set(machine, 4);
  state.set(saved, 4 + machine.length);
  return { ticks, state, pages };
}

/** A host at checkpoint n of a recording, into which is typed what was typed then. Throws Trouble when that checkpoint is damaged or not of this program. */
export function resumeHost(source: Source, n: number, sinks: Sinks): Host {
  const { header } = source;
  const { state, memory } = source.checkpoint(n);
  if (state.length < 4) throw new Trouble(`${source.name}: checkpoint ${n} has no state`);
  const length = new DataView(state.buffer, state.byteOffset).getUint32(0, true);
  if (length > state.length - 4) throw new Trouble(`${source.name}: the state of checkpoint ${n} is cut off`);
  const restore = (owner: Restorable): void => restoreCheckpoint(owner, state.subarray(4, 4 + length), memory);
  const host = systemOf(header.system).resume(header.memoryBytes, state.subarray(4 + length), restore, sinks);
  return new Repeated(host, sinks.log, fromOutside(source, source.checkpoints[n]!.seq));
}
