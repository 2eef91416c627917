/** Words that every way of showing an answer shares: permissions, sizes, frames. */
import { hex } from '../base/u64.js';
import { NO_FRAME } from '../events/kinds.js';
import type { Permissions } from '../isa/isa.js';

/** `RW USER NX GLB`, as ptdump has them. */
export const permissionText = (p: Permissions): string =>
  `${p.write ? 'RW' : 'ro'} ${p.user ? 'USER' : '    '} ${p.execute ? 'x ' : 'NX'} ${p.global ? 'GLB' : '   '}`;
/** `4K`, `2M`: the largest unit that divides it. */
export const sizeText = (bytes: bigint): string => {
  const units = ['B', 'K', 'M', 'G', 'T'];
  let [n, unit] = [bytes, 0];
  while (n >= 1024n && n % 1024n === 0n && unit < 4) [n, unit] = [n / 1024n, unit + 1];
  return `${n}${units[unit]}`;
};
export const frameText = (frame: number): string => (frame === NO_FRAME ? 'none' : hex(frame));
