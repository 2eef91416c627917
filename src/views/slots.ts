/**
 * Entries of page tables at a position, from the index: the last event that wrote the slot knows its value. Nothing is
 * folded, so any entry of a ten-million-event recording costs one index look-up and at most one decoded chunk.
 */
import { asFrame, type Frame, frameOf, type Paddr, paddrOf } from '../base/brand.js';
import { u64 } from '../base/u64.js';
import type { Work } from '../base/work.js';
import { type Block, type BlockColumns, listStart } from '../events/block.js';
import { KIND, NO_FRAME, root as rootKind, SPACES, type Space } from '../events/kinds.js';
import { codeOf } from '../events/schema.js';
import type { Source } from '../recording/source.js';
import { findEvent } from '../state/find.js';
import { formatOf, isaOfSource } from '../state/formats.js';
import type { Role } from '../state/state.js';
import { locate } from './at.js';
import { lastRegisterWrite } from './registers.js';

export interface Slot {
  readonly value: bigint;
  /** The event that wrote it, -1 if none did: then nobody knows better than zero. */
  readonly writer: number;
}

type Values = Pick<BlockColumns['pte'], 'newLo' | 'newHi'>;
/** What event `seq` left in the entry at byte `at`: pte, adopt, or release (which leaves zero). */
export function valueWritten(source: Source, seq: number, at: Paddr): bigint {
  const { block, i } = locate(source, seq);
  return valueIn(block, i, at);
}
/** What event i of the block left there. @param pte columns of the block that are already decoded */
export function valueIn(block: Block, i: number, at: Paddr, pte?: Values | undefined): bigint {
  const row = block.row[i]!;
  if (block.kind[i] === KIND.pte) {
    const { newLo, newHi } = pte ?? block.col.pte;
    return u64(newLo[row]!, newHi[row]!);
  }
  if (block.kind[i] !== KIND.adopt) return 0n;
  const c = block.col.adopt;
  const start = paddrOf(asFrame(c.table[row]!), c.offset[row]!);
  const item = listStart(c.entriesEnd, row) + Math.floor((at - start) / Math.max(c.bytes[row]!, 1));
  return item < c.entriesEnd[row]! ? u64(c.entriesLo[item]!, c.entriesHi[item]!) : 0n;
}

/** The entry at byte `at` just after event `seq`. */
export function slotAt(source: Source, space: Space, at: Paddr, seq: number): Slot {
  const writer = source.index.lastSlotWrite(space, at, seq + 1);
  return { writer, value: writer < 0 ? 0n : valueWritten(source, writer, at) };
}

export interface RootAt {
  /** The frame of the root table; NO_FRAME for none. */
  readonly frame: Frame;
  /** Its byte address: a root register may point into a frame. */
  readonly at: Paddr;
  /** The root event, or the regs event whose root register gives it; -1 if neither exists. */
  readonly since: number;
  readonly from: 'root event' | 'root register' | 'given' | 'nothing';
}
export interface RootQuery {
  readonly space: Space;
  readonly role?: Role;
  readonly vcpu?: number;
}
/** The root table loaded at event `seq`: from the last root event, or else, for the guest's own tables, the root register. */
export function* rootAt(source: Source, query: RootQuery, seq: number): Work<RootAt> {
  const { space, role = 'kernel', vcpu = 0 } = query;
  const [spaceCode, roleCode] = [SPACES.indexOf(space), codeOf(rootKind.fields.role, role)];
  const since = yield* findEvent(source, seq, -1, {
    kinds: ['root'],
    where: ({ col, row, vcpu: vcpus }, i) =>
      vcpus[i] === vcpu && col.root.space[row[i]!] === spaceCode && col.root.role[row[i]!] === roleCode,
  });
  const found = (at: Paddr, since: number, from: RootAt['from']): RootAt => ({ frame: frameOf(at), at, since, from });
  if (since >= 0) {
    const { block, i } = locate(source, since);
    return found(paddrOf(asFrame(block.col.root.new[block.row[i]!]!)), since, 'root event');
  }
  const isa = isaOfSource(source);
  const format = formatOf(source, space);
  const register = isa && space === 'guest' ? lastRegisterWrite(source, vcpu, isa.roles.root, seq) : undefined;
  if (!register || !format || register.value === 0n) return found(paddrOf(asFrame(NO_FRAME)), -1, 'nothing');
  return found(format.rootOf(register.value), register.asOf, 'root register');
}
