/**
 * A stretch of guest memory as lines of sixteen bytes, by virtual or physical address. Tables are read in the memory
 * itself, as the processor would: it makes no difference whether an event ever told of them.
 */
import { asPaddr, asVaddr, PAGE_BYTES, type Paddr, type Vaddr } from '../base/brand.js';
import { indexOf, type PagingFormat } from '../isa/isa.js';
import { isCanonical } from './walk.js';

/** Where a virtual address leads, or the level at which it leads nowhere. */
export type Translated = { readonly at: Paddr } | { readonly stops: string };

/** Walks `vaddr` through tables in `memory`, from the root table at byte `root`. */
export function translate(memory: Uint8Array, format: PagingFormat, root: Paddr, vaddr: Vaddr): Translated {
  if (!isCanonical(format, vaddr)) return { stops: 'not canonical' };
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  let table = root;
  for (const level of format.levels) {
    const slot = table + indexOf(level, vaddr) * format.entryBytes;
    if (slot + format.entryBytes > memory.length) return { stops: `${level.name} is outside memory` };
    const value = format.entryBytes === 8 ? view.getBigUint64(slot, true) : BigInt(view.getUint32(slot, true));
    const entry = level.decode(value);
    if (entry.kind === 'none') return { stops: `${level.name}[${indexOf(level, vaddr)}] is not present` };
    if (entry.kind === 'leaf')
      return { at: asPaddr(entry.at + Number(BigInt.asUintN(64, vaddr) % BigInt(entry.bytes))) };
    table = entry.at;
  }
  return { stops: 'the last level names another table' };
}

/** Bytes that can be read, or a stretch that cannot and why. */
export type Piece =
  | { readonly from: bigint; readonly physical: Paddr; readonly bytes: Uint8Array }
  | { readonly from: bigint; readonly length: number; readonly why: string };

/**
 * `length` bytes from `from` on, a page at a time; stretches that lead nowhere for the same reason are one.
 * @param find the physical address of an address
 */
export function memoryPieces(
  memory: Uint8Array,
  from: bigint,
  length: number,
  find: (at: bigint) => Translated,
): Piece[] {
  const pieces: Piece[] = [];
  for (let done = 0; done < length; ) {
    const at = BigInt.asUintN(64, from + BigInt(done));
    const step = Math.min(length - done, PAGE_BYTES - Number(at % BigInt(PAGE_BYTES)));
    const found = find(at);
    const inside = 'at' in found ? Math.max(0, Math.min(step, memory.length - found.at)) : 0;
    if ('at' in found && inside > 0)
      pieces.push({ from: at, physical: found.at, bytes: memory.subarray(found.at, found.at + inside) });
    if (inside < step) {
      const why = 'at' in found ? 'outside memory' : found.stops;
      const last = pieces.at(-1);
      if (last && 'why' in last && last.why === why)
        pieces[pieces.length - 1] = { ...last, length: last.length + step - inside };
      else pieces.push({ from: at + BigInt(inside), length: step - inside, why });
    }
    done += step;
  }
  return pieces;
}

/** Physical addresses lead to themselves. */
export const physically = (at: bigint): Translated => ({ at: asPaddr(Number(at)) });
/** Virtual ones through the tables under a root. */
export const through =
  (memory: Uint8Array, format: PagingFormat, root: Paddr) =>
  (at: bigint): Translated =>
    translate(memory, format, root, asVaddr(at));
