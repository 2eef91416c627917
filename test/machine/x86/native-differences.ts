/** Where the emulated processor may answer other than the one that made the fixtures, or that runs the fuzzer. */
import type { Result } from './runner.js';

export interface Difference {
  readonly reason: string;
  accounts(form: string, native: Result, ours: Result): boolean;
}

const INVALID_OPCODE = 6;
const STATUS = 0x8d5n;
/** The last page below the hole is not for programs: Linux refuses it, arch/x86/include/asm/page_64.h, TASK_SIZE_MAX. */
const TASK_SIZE_MAX = 0x7fff_ffff_f000n;
const NO_PRESENT = ~1;
const is = (form: string, ...ops: string[]): boolean => form.split(' ').some(word => ops.includes(word));
const sameFault = (a: Result, b: Result): boolean =>
  a.fault?.vector === b.fault?.vector && a.fault?.error === b.fault?.error && a.fault?.cr2 === b.fault?.cr2;
const sameRegisters = (a: Result, b: Result): boolean =>
  a.rip === b.rip && a.gpr.every((value, n) => value === b.gpr[n]);

/** What was written, by address. */
const bytesOf = (r: Result): ReadonlyMap<number, number> =>
  new Map(r.writes.flatMap(({ addr, bytes }) => Array.from(bytes, (byte, n) => [addr + n, byte] as const)));

/** The xmm registers of an fxsave image begin here. */
const XMM = 160;
const singleAt = (image: Uint8Array, at: number): number =>
  new DataView(image.buffer, image.byteOffset).getFloat32(at, true);
/** Two approximations are this close when each is within 1.5 * 2^-12 of what they approximate, relative. */
const APPROXIMATELY = 3.001 * 2 ** -12;
/** The same image but for singles in xmm registers, which are as close as approximations are. */
function closeImages(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (!a || !b) return false;
  for (let at = 0; at < a.length; at += 4) {
    if ([0, 1, 2, 3].every(n => a[at + n] === b[at + n])) continue;
    if (at >= 28 && at < 32) continue; // the mask of mxcsr
    const [x, y] = [singleAt(a, at), singleAt(b, at)];
    if (at < XMM || !(Math.abs(x - y) <= APPROXIMATELY * Math.abs(x))) return false;
  }
  return true;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    reason:
      'rcpss, rcpps, rsqrtss and rsqrtps are approximations, and every processor has its own: SDM 2B, RCPPS, only says how good ' +
      'they are.',
    accounts: (form, native, ours) =>
      is(form, 'rcpss', 'rcpps', 'rsqrtss', 'rsqrtps') &&
      !native.fault &&
      !ours.fault &&
      sameRegisters(native, ours) &&
      native.rflags === ours.rflags &&
      closeImages(native.fx, ours.fx),
  },
  {
    reason: 'Our CPUID has no BMI1, LZCNT and POPCNT: tzcnt is bsf, lzcnt is bsr, popcnt raises #UD.',
    accounts: (form, native, ours) =>
      is(form, 'popcnt')
        ? ours.fault?.vector === INVALID_OPCODE
        : is(form, 'tzcnt', 'lzcnt') && sameFault(native, ours),
  },
  {
    reason:
      'A fault in the middle of rep cmps or rep scas: the real processor (an AMD) leaves the flags of the last comparison. We leave ' +
      'those of before, as Intel says (SDM 2B, REP: "the EFLAGS value is restored").',
    accounts: (form, native, ours) =>
      is(form, 'cmps', 'scas') &&
      native.fault !== undefined &&
      sameFault(native, ours) &&
      sameRegisters(native, ours) &&
      ((native.rflags ^ ours.rflags) & ~STATUS) === 0n,
  },
  {
    reason:
      'Linux says "present" of any fault from TASK_SIZE_MAX on, so as not to tell what is mapped there ' +
      '(arch/x86/mm/fault.c, set_signal_archinfo).',
    accounts: (_, native, ours) =>
      native.fault?.vector === 14 &&
      ours.fault?.vector === 14 &&
      native.fault.cr2 >= TASK_SIZE_MAX &&
      native.fault.cr2 === ours.fault.cr2 &&
      (native.fault.error & NO_PRESENT) === (ours.fault.error & NO_PRESENT) &&
      sameRegisters(native, ours),
  },
  {
    reason:
      'A call or far return to where it may not go, and a fault of the stack: the real processor tells of the stack. ' +
      'We look at the target first, as SDM 2A, CALL, and 2B, RET, have it.',
    accounts: (form, native, ours) =>
      is(form, 'call', 'retf') &&
      (native.fault?.vector === 14 || native.fault?.vector === 12) &&
      ours.fault?.vector === 13 &&
      sameRegisters(native, ours),
  },
  {
    reason: 'fxsave writes the mask of mxcsr: an AMD has one bit more (MM, misaligned SSE).',
    accounts: (form, native, ours) => {
      if (!is(form, 'fxsave') || native.fault || ours.fault || !sameRegisters(native, ours)) return false;
      const [theirs, own] = [bytesOf(native), bytesOf(ours)];
      const different = [...theirs.keys(), ...own.keys()].filter(at => theirs.get(at) !== own.get(at));
      return different.length > 0 && different.every(at => at % 16 === 14 && theirs.get(at) === 2 && !own.get(at));
    },
  },
];
