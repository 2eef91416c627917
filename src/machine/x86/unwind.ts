/**
 * Call stacks by frame pointers: code compiled with them keeps a chain of saved rbp, each below its return address.
 *
 *     rbp -> | saved rbp | return address |      towards higher addresses, where the callers' frames are
 *                 `----> | saved rbp | return address | ...
 *
 * A chain is the guest's word and may be anything: it must climb, be mapped, aligned and short, and every return address
 * must be code. Where it breaks off the stack ends; nothing the guest can notice happens.
 */
import { u64 } from '../../base/u64.js';
import { REG } from '../../isa/x86_64.js';
import { registerAt } from '../engine/layout.js';
import type { Memory } from '../engine/memory.js';
import type { Peek } from './peek.js';

/** As many return addresses as an event carries. */
export const STACK_MAX = 16;

/**
 * The return addresses of the running code, innermost first.
 * @param isCode whether an address can be a return address
 */
export function unwind(memory: Memory, peek: Peek, isCode: (address: bigint) => boolean): bigint[] {
  const found: bigint[] = [];
  const rbp = registerAt(REG.rbp!);
  let lo = memory.view.getUint32(rbp, true);
  let hi = memory.view.getUint32(rbp + 4, true);
  while (found.length < STACK_MAX && (lo & 7) === 0) {
    const frame = peek.translate(lo, hi);
    const above = (lo & 4095) === 4088 ? peek.translate((lo + 8) >>> 0, lo + 8 > 0xffff_ffff ? hi + 1 : hi) : frame + 8;
    if (frame < 0 || above < 0) break;
    const address = u64(peek.word(above), peek.word(above + 4));
    if (!isCode(address)) break;
    found.push(address);
    const [nextLo, nextHi] = [peek.word(frame), peek.word(frame + 4)];
    if (nextHi < hi || (nextHi === hi && nextLo <= lo)) break;
    [lo, hi] = [nextLo, nextHi];
  }
  return found;
}
