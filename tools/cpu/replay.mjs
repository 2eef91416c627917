/** Comparing results, and the native processor as a runner. */
import { COMPARED_FLAGS, DATA, FX, memoryOf } from './layout.mjs';
import { tryNative } from './native.mjs';

/** @typedef {import('./layout.mjs').Case} Case */
/** @typedef {import('./layout.mjs').Result} Result */
/** @typedef {import('./undefined.mjs').Unspecified} Unspecified */
/**
 * What an adapter's `createRunner` returns. A result with `refused` says that the instruction is not implemented, and
 * why: such forms are listed, not failed. `runAll`, if there, is used in place of one `run` a case.
 * `known`, if there, says why a difference is as it should be; undefined means that it is a failure.
 * @typedef {object} Runner
 * @property {(c: Case) => Answer} run
 * @property {((cases: readonly Case[]) => Answer[])=} runAll
 * @property {((form: string, native: Result, ours: Result) => string | undefined)=} known
 * @typedef {Result & { refused?: string }} Answer
 */

const NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

/** @returns {Runner & { runAll(cases: readonly Case[]): Answer[] }} the host's processor, for testing the tools themselves */
export function createNativeRunner() {
  const runAll = (/** @type {readonly Case[]} */ cases) =>
    tryNative(cases).map(answer => (typeof answer === 'string' ? refusal(answer) : answer));
  return { runAll, run: c => /** @type {Answer} */ (runAll([c])[0]) };
}

/** @param {string} refused why there is no result @returns {Answer} */
function refusal(refused) {
  return { refused, gpr: new BigUint64Array(16), rip: 0n, rflags: 0n, writes: [] };
}

/**
 * @param {Case} c @param {Result} expected @param {Result} actual @param {Unspecified} [undef] what may differ
 * @returns {string[]} one line a difference: `rax: expected 1, got 2`; empty if there is none
 */
export function differences(c, expected, actual, undef = { flags: 0, regs: 0 }) {
  /** @type {string[]} */
  const out = [];
  const differ = (/** @type {string} */ what, /** @type {unknown} */ a, /** @type {unknown} */ b) => {
    if (a !== b) out.push(`${what}: expected ${hex(a)}, got ${hex(b)}`);
  };
  differ('fault', faultText(expected), faultText(actual));
  NAMES.forEach((name, n) => (undef.regs >> n) & 1 || differ(name, expected.gpr[n], actual.gpr[n]));
  differ('rip', expected.rip, actual.rip);
  const mask = COMPARED_FLAGS & ~BigInt(undef.flags);
  differ('rflags', expected.rflags & mask, actual.rflags & mask);
  if (expected.writes.length || actual.writes.length) {
    const before = memoryOf(c);
    const [a, b] = [expected, actual].map(r => after(before, r));
    const at = a.findIndex((byte, i) => byte !== b[i]);
    if (at >= 0) differ(`memory at ${(DATA + at).toString(16)}`, a[at], b[at]);
  }
  if (expected.fx && actual.fx) {
    const counts = countsOf(c, expected.fx);
    const at = expected.fx.findIndex((byte, i) => byte !== actual.fx?.[i] && counts(i));
    if (at >= 0) differ(`fx image at ${at}`, expected.fx[at], actual.fx[at]);
  }
  return out;
}

const SUMMARY = 0x80;
/**
 * Which bytes of an fxsave image are compared. Not the mask of mxcsr: it says which bits this processor has. And of the last
 * x87 instruction, opcode and pointers only when it left an exception pending: an AMD keeps them only then, an Intel always.
 * @param {Case} c @param {Uint8Array} after what the real processor left @returns {(at: number) => boolean}
 */
function countsOf(c, after) {
  const pending = ((after[FX.fsw] ?? 0) & SUMMARY) !== 0 && ((c.fx?.[FX.fsw] ?? 0) & SUMMARY) === 0;
  return at => (at < FX.fop || at >= FX.mxcsr || pending) && (at < FX.mxcsrMask || at >= FX.st);
}

/** @param {Uint8Array} before @param {Result} result @returns {Uint8Array} */
function after(before, result) {
  const memory = before.slice();
  for (const { addr, bytes } of result.writes) memory.set(bytes, addr - DATA);
  return memory;
}

/** @param {Result} r @returns {string} */
export function faultText({ fault }) {
  return fault ? `vector ${fault.vector} error ${fault.error.toString(16)} cr2 ${fault.cr2.toString(16)}` : 'none';
}

/** @param {unknown} v @returns {string} */
function hex(v) {
  return typeof v === 'bigint' || typeof v === 'number' ? v.toString(16) : String(v);
}

/** @param {Case} c @returns {string} all of a case that is not background, for people */
export function describe(c) {
  const lines = [`form   ${c.form}`, `code   ${Buffer.from(c.code).toString('hex')} at ${c.rip.toString(16)}`];
  lines.push(`rflags ${c.rflags.toString(16)}`);
  c.gpr.forEach((v, n) => v && lines.push(`${NAMES[n]?.padEnd(6)} ${v.toString(16)}`));
  for (const p of c.patches) lines.push(`memory ${p.addr.toString(16)}: ${Buffer.from(p.bytes).toString('hex')}`);
  if (c.fx) lines.push(...describeFx(c.fx));
  return lines.join('\n');
}

/** @param {Uint8Array} fx @returns {string[]} */
function describeFx(fx) {
  const field = (/** @type {number} */ at, /** @type {number} */ bytes) =>
    Buffer.from(fx.subarray(at, at + bytes).toReversed()).toString('hex');
  const lines = [`fcw ${field(FX.fcw, 2)} fsw ${field(FX.fsw, 2)} ftw ${field(FX.ftw, 1)} mxcsr ${field(FX.mxcsr, 4)}`];
  const registers = (/** @type {string} */ name, /** @type {number} */ at, /** @type {number} */ bytes) => {
    for (let n = 0; n * 16 + at < (name === 'st' ? FX.xmm : fx.length); n++) {
      const text = field(at + n * 16, bytes);
      if (/[^0]/.test(text)) lines.push(`${name}${n}`.padEnd(7) + text);
    }
  };
  registers('st', FX.st, 10);
  registers('xmm', FX.xmm, 16);
  return lines;
}
