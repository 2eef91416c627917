/**
 * Checkpoints: what of a machine must be kept so that it goes on from there as if it had never stopped.
 *
 *   state   clock f64 | registers, hidden ones and vector state (0x400-0x2000) | both architectural TLBs
 *   pages   those written since the checkpoint before; before the first one memory is all zeros
 *
 * Everything else is a cache: fast tags, the jump cache, decoded instructions. Taking a checkpoint marks every page
 * clean and drops the fast write tags, so the first store to each page is slow once and unmarks it. Neither taking nor
 * restoring adds or removes an architectural TLB entry: the guest cannot tell how often checkpoints are taken.
 */

import { assert } from '../../base/assert.js';
import { asTicks, PAGE_BYTES, type Ticks } from '../../base/brand.js';
import { Trouble } from '../../base/trouble.js';
import { ARCH_CODE, ARCH_DATA, CONTROL, PAGE_FLAGS, REGISTERS, TLB_ENTRIES, VECTOR_STATE } from './layout.js';
import type { Memory } from './memory.js';
import type { Machine } from './run.js';
import { ARCH } from './tlb.js';

/** A processor and its machine, as checkpoints need it. */
export interface Restorable {
  readonly machine: Machine;
  /** Brings the registers into their one canonical form, whatever pieces the run was cut into. Between runs. */
  settle(): void;
  /** Registers were replaced: follows them. */
  setUpWalk(): void;
}

/** The content of a frame; the bytes are guest memory itself, valid until the guest runs on. */
export type Page = readonly [frame: number, bytes: Uint8Array];

export interface Checkpoint {
  readonly ticks: Ticks;
  readonly state: Uint8Array;
  /** Ascending by frame. To be taken before the guest runs on. */
  readonly pages: readonly Page[];
}

const PARTS = [
  { from: REGISTERS, to: VECTOR_STATE + 0x1000 },
  { from: ARCH_DATA, to: ARCH_CODE + TLB_ENTRIES * ARCH.bytes },
] as const;
const TICKS_BYTES = 8;
const STATE_BYTES = PARTS.reduce((sum, { from, to }) => sum + to - from, TICKS_BYTES);

/** The flag in four bytes at once. */
const CLEAN_4 = PAGE_FLAGS.clean * 0x0101_0101;
const fourAtOnce = ({ pageFlags }: Memory): Uint32Array =>
  new Uint32Array(pageFlags.buffer, pageFlags.byteOffset, pageFlags.length >>> 2);

/** Says that memory as it is needs no saving. At power-on, when it is zero, this holds already. */
function markClean(memory: Memory): void {
  const flags = fourAtOnce(memory);
  for (let i = 0; i < flags.length; i++) flags[i]! |= CLEAN_4;
  for (let i = flags.length * 4; i < memory.pageFlags.length; i++) memory.pageFlags[i]! |= PAGE_FLAGS.clean;
  memory.tlb.dropAllWrites();
  memory.untouched = false;
}

/** Takes a checkpoint, between runs. The same run gives the same bytes. */
export function takeCheckpoint(owner: Restorable): Checkpoint {
  owner.settle();
  const { memory, ticks } = owner.machine;
  const linear = new Uint8Array(memory.wasm.buffer);
  const state = new Uint8Array(STATE_BYTES);
  new DataView(state.buffer).setFloat64(0, ticks, true);
  let at = TICKS_BYTES;
  for (const { from, to } of PARTS) {
    state.set(linear.subarray(from, to), at);
    at += to - from;
  }
  const pages = dirtyPages(memory);
  markClean(memory);
  return { ticks, state, pages };
}

function dirtyPages(memory: Memory): Page[] {
  const { pageFlags, guest } = memory;
  const pages: Page[] = [];
  const four = fourAtOnce(memory);
  for (let frame = 0; frame < pageFlags.length; frame++) {
    if (frame % 4 === 0 && (four[frame >>> 2]! & CLEAN_4) === CLEAN_4) {
      frame += 3; // as most are
      continue;
    }
    if (pageFlags[frame]! & PAGE_FLAGS.clean) continue;
    pages.push([frame, guest.subarray(frame * PAGE_BYTES, (frame + 1) * PAGE_BYTES)]);
  }
  return pages;
}

/**
 * Puts a machine where a checkpoint was taken. No frame is watched or traced afterwards: that is for its owner to say again.
 * @param pages every page that is not zero, in any order; of several for one frame the last counts
 * @throws Trouble when `state` is not a state of this kind of machine, or a page lies outside its memory
 */
export function restoreCheckpoint(owner: Restorable, state: Uint8Array, pages: Iterable<Page>): void {
  const { machine } = owner;
  const { memory } = machine;
  checkState(state, memory.layout.guestBytes);
  clear(memory);
  for (const [frame, bytes] of pages) {
    if (!(frame < memory.pageFlags.length) || bytes.length !== PAGE_BYTES)
      throw new Trouble(`checkpoint: page ${frame} of ${bytes.length} bytes does not fit the machine's memory`);
    memory.guest.set(bytes, frame * PAGE_BYTES);
  }
  const linear = new Uint8Array(memory.wasm.buffer);
  let at = TICKS_BYTES;
  for (const { from, to } of PARTS) {
    linear.set(state.subarray(at, at + to - from), from);
    at += to - from;
  }
  machine.setTicks(asTicks(new DataView(state.buffer, state.byteOffset).getFloat64(0, true)));
  memory.view.setUint32(CONTROL.record, 0, true);
  machine.code.reset();
  memory.pageFlags.fill(0);
  markClean(memory);
  owner.setUpWalk();
  memory.tlb.dropFast();
}

/** New memory is zero already; to write all of it would make the system find a page for each of ours. */
function clear(memory: Memory): void {
  const isZero = memory.untouched && memory.pageFlags.every(flags => flags & PAGE_FLAGS.clean);
  if (!isZero) memory.guest.fill(0);
}

/** A state comes from a file: what the generated code relies on must hold. */
function checkState(state: Uint8Array, guestBytes: number): void {
  if (state.length !== STATE_BYTES)
    throw new Trouble(`checkpoint: the machine's state has ${state.length} bytes, not ${STATE_BYTES}`);
  const view = new DataView(state.buffer, state.byteOffset);
  const ticks = view.getFloat64(0, true);
  if (!(Number.isSafeInteger(ticks) && ticks >= 0)) throw new Trouble(`checkpoint: the clock says ${ticks}`);
  const tlbAt = TICKS_BYTES + PARTS[0].to - PARTS[0].from;
  assert(tlbAt + (PARTS[1].to - PARTS[1].from) === state.length, 'the TLBs are the last part');
  for (let at = tlbAt; at < state.length; at += ARCH.bytes) {
    const frame = view.getBigUint64(at + ARCH.frame, true);
    if (frame < BigInt(guestBytes) && frame % BigInt(PAGE_BYTES) !== 0n)
      throw new Trouble(`checkpoint: a TLB entry points to ${frame.toString(16)}, which is no page`);
  }
}
