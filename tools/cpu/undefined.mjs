/**
 * What the manual leaves undefined, per instruction: flags, and the destination of a bit scan that finds nothing and
 * of a double shift by too much. `SDM NAME` is that instruction's page in volume 2, "Flags Affected" or "Operation". A
 * faulting instruction leaves nothing undefined.
 */
import { FLAG } from './layout.mjs';

/** @typedef {import('./forms.mjs').Form} Form */
/** @typedef {import('./layout.mjs').Case} Case */
/** @typedef {import('./layout.mjs').Result} Result */
/** Flag bits, and a bit for each register. @typedef {{ flags: number, regs: number }} Unspecified */

const { CF, PF, AF, ZF, SF, OF } = FLAG;
const ALL = CF | PF | AF | ZF | SF | OF;

// biome-ignore format: a table
/** Flags that do not depend on the operands. @type {Record<string, number>} */
const ALWAYS = {
  and: AF, or: AF, xor: AF, test: AF, // SDM AND, OR, XOR, TEST: "The state of the AF flag is undefined."
  mul: SF | ZF | AF | PF, // SDM MUL
  imul: SF | ZF | AF | PF, // SDM IMUL: all of its forms
  div: ALL, idiv: ALL, // SDM DIV, IDIV: "The CF, OF, SF, ZF, AF, and PF flags are undefined."
  bt: OF | SF | AF | PF, bts: OF | SF | AF | PF, btr: OF | SF | AF | PF, btc: OF | SF | AF | PF, // SDM BT
  bsf: CF | OF | SF | AF | PF, bsr: CF | OF | SF | AF | PF, // SDM BSF, BSR
  tzcnt: OF | SF | AF | PF, lzcnt: OF | SF | AF | PF, // SDM TZCNT, LZCNT
};

/**
 * Shifts: the count is masked to 5 bits, 6 for 64-bit operands. Count 0 changes nothing; OF is defined for count 1
 * only; AF is undefined; shl and shr by the operand's width or more leave CF undefined, sar does not (SDM
 * SAL/SAR/SHL/SHR).
 * @param {string} op @param {number} count @param {number} bits @returns {number}
 */
function shiftFlags(op, count, bits) {
  if (count === 0) return 0;
  return AF | (count === 1 ? 0 : OF) | (op !== 'sar' && count >= bits ? CF : 0);
}

/**
 * Rotates touch CF and OF only; OF is defined for a count of 1 (SDM RCL/RCR/ROL/ROR).
 * @param {number} count @returns {number}
 */
function rotateFlags(count) {
  return count === 0 || count === 1 ? 0 : OF;
}

/**
 * SDM SHLD, SHRD: a count above the operand's width leaves flags and destination undefined.
 * @param {number} count @param {number} bits @returns {number}
 */
function doubleShiftFlags(count, bits) {
  if (count === 0) return 0;
  return count > bits ? ALL : AF | (count === 1 ? 0 : OF);
}

/** @param {Form} form @param {Case} c @returns {number} the count a shift or rotate uses */
function countOf(form, c) {
  const last = form.operands.at(-1);
  const raw = last === 'CL' ? Number((c.gpr[1] ?? 0n) & 0xffn) : last === 'Ib' ? (c.code.at(-1) ?? 0) : 1;
  return raw & (form.size === 8 ? 63 : 31);
}

/**
 * @param {Form} form @param {Case} c @param {Result} result what the processor did
 * @param {{ g: number, rm: number }} operands register numbers of modrm
 * @returns {Unspecified}
 */
export function undefinedBy(form, c, result, operands) {
  if (result.fault) return { flags: 0, regs: 0 };
  const bits = form.size * 8;
  const none = { flags: ALWAYS[form.op] ?? 0, regs: 0 };
  switch (form.op) {
    case 'shl':
    case 'shr':
    case 'sar':
      return { flags: shiftFlags(form.op, countOf(form, c), bits), regs: 0 };
    case 'rol':
    case 'ror':
    case 'rcl':
    case 'rcr':
      return { flags: rotateFlags(countOf(form, c)), regs: 0 };
    case 'shld':
    case 'shrd': {
      const count = countOf(form, c);
      const lost = count > bits && form.rm === 'reg';
      return { flags: doubleShiftFlags(count, bits), regs: lost ? 1 << operands.rm : 0 };
    }
    case 'bsf':
    case 'bsr': // "If the content of the source operand is 0, the content of the destination operand is undefined."
      return { flags: none.flags, regs: result.rflags & BigInt(ZF) ? 1 << operands.g : 0 };
    default:
      return none;
  }
}
