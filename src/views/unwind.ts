/**
 * A call stack by frame pointers, from memory as it was: each saved frame pointer lies below its return address. The chain
 * is the guest's word and may be anything, so it must climb and be mapped; where it breaks off the stack ends.
 */
import { asVaddr, type Paddr, type Vaddr } from '../base/brand.js';
import type { PagingFormat } from '../isa/isa.js';
import { translate } from './memory.js';

const STACK_MAX = 16;

/** Return addresses, innermost first. `isCode` says whether an address can be one. */
export function unwindAt(
  memory: Uint8Array,
  format: PagingFormat,
  root: Paddr,
  fp: bigint,
  isCode: (at: Vaddr) => boolean,
): Vaddr[] {
  const word = (at: bigint): bigint | undefined => {
    const found = at % 8n === 0n ? translate(memory, format, root, asVaddr(at)) : undefined;
    if (!found || !('at' in found) || found.at + 8 > memory.length) return undefined;
    return new DataView(memory.buffer, memory.byteOffset, memory.length).getBigUint64(found.at, true);
  };
  const stack: Vaddr[] = [];
  while (stack.length < STACK_MAX) {
    const [next, address] = [word(fp), word(fp + 8n)];
    if (next === undefined || address === undefined || !isCode(asVaddr(address))) break;
    stack.push(asVaddr(address));
    if (next <= fp) break;
    fp = next;
  }
  return stack;
}
