/** Words that every way of showing an answer shares: permissions, sizes, frames. */
import { hex } from '../base/u64.js';
import { NO_FRAME } from '../events/kinds.js';
import type { Permissions } from '../isa/isa.js';

/** `RW USER NX GLB`, as ptdump has them. */
export const permissionText = (p: Permissions): string =>
  `${p.write ? 'RW' : 'ro'} ${p.user ? 'USER' : '    '} ${p.execute ? 'x ' : 'NX'} ${p.global ? 'GLB' : '   '}`;
/** `4K`, `2M`: the largest unit that divides it. */
export const sizeText = (bytes: bigint): string => {
  let unit = 0;
  // The low bits say which unit; as a number, since a map may have a hundred thousand ranges.
  if (bytes !== 0n) for (let n = Number(BigInt.asUintN(40, bytes)); unit < 4 && n % 1024 === 0; n /= 1024) unit++;
  return `${bytes >> BigInt(10 * unit)}${UNITS[unit]}`;
};
const UNITS = ['B', 'K', 'M', 'G', 'T'];
export const frameText = (frame: number): string => (frame === NO_FRAME ? 'none' : hex(frame));
