/** Builds the native runner on demand, and speaks its binary language (native.h draws the records). */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FX_BYTES } from './layout.mjs';

/** @typedef {import('./layout.mjs').Case} Case */
/** @typedef {import('./layout.mjs').Result} Result */

const here = dirname(fileURLToPath(import.meta.url));
const SOURCES = ['native.h', 'native.c', 'trace.c'].map(name => join(here, name));
const FLAGS = ['-O2', '-Wall', '-Wextra', '-static-pie', '-fno-stack-protector', '-fcf-protection=none'];

const MAGIC = 0x3155_5043;
const HEADER_BYTES = 16;
const CASE_BYTES = 432;
const RESULT_BYTES = 1184;
const FX_SLOT = 512;
const NO_FAULT = 255;
const DIED = 254;
/** Cases a process: bounds the buffers of one call. */
const BATCH = 16_384;

/**
 * Builds the runner into .cache/cpu unless it is there; the name holds a hash of the sources.
 * @returns {{ file: string } | { reason: string }} the program, or why there can be none here
 */
export function build() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { reason: 'the host is not x86-64 Linux' };
  const hash = createHash('sha256').update(FLAGS.join());
  for (const source of SOURCES) hash.update(readFileSync(source));
  const cache = join(here, '..', '..', '.cache', 'cpu');
  const file = join(cache, `native-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(file)) return { file };
  mkdirSync(cache, { recursive: true });
  const draft = `${file}.${process.pid}`;
  const made = spawnSync('gcc', [...FLAGS, ...SOURCES.filter(s => s.endsWith('.c')), '-o', draft], {
    encoding: 'utf8',
  });
  if (made.error) return { reason: 'gcc is not there' };
  if (made.status !== 0) return { reason: `gcc: ${made.stderr.trim().split('\n').at(-1)}` };
  renameSync(draft, file);
  return { file };
}

/** @returns {string} the processor that answers here */
export function processorName() {
  const info = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const of = (/** @type {string} */ key) => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(info)?.[1];
  const parts = `${of('vendor_id')} family ${of('cpu family')} model ${of('model')} stepping ${of('stepping')}`;
  return `${cpus()[0]?.model ?? 'unknown'} (${parts})`;
}

/**
 * Runs cases on the host's processor.
 * @param {readonly Case[]} cases
 * @returns {Result[]} in the same order
 * @throws if a case kills its process, does not end, or changes more memory than a result can hold
 */
export function runNative(cases) {
  return tryNative(cases).map((result, i) => {
    if (typeof result === 'string') throw new Error(`native: a case of ${cases[i]?.form} ${result}`);
    return result;
  });
}

/**
 * The same, with the reason in place of a result that there is none of.
 * @param {readonly Case[]} cases @returns {(Result | string)[]}
 */
export function tryNative(cases) {
  const built = build();
  if ('reason' in built) throw new Error(built.reason);
  /** @type {(Result | string)[]} */
  const results = [];
  const withFx = cases.filter(c => c.fx);
  if (withFx.length && withFx.length < cases.length) {
    const [some, others] = [tryNative(withFx), tryNative(cases.filter(c => !c.fx))].map(list => list.values());
    return cases.map(c => /** @type {Result | string} */ ((c.fx ? some : others)?.next().value));
  }
  for (let at = 0; at < cases.length; at += BATCH) {
    const batch = cases.slice(at, at + BATCH);
    const fx = batch[0]?.fx !== undefined;
    const size = RESULT_BYTES + (fx ? FX_SLOT : 0);
    const run = spawnSync(built.file, ['run'], { input: encode(batch, fx), maxBuffer: 64 + batch.length * size });
    if (run.status !== 0) throw new Error(`native: ${run.stderr}`);
    const out = run.stdout;
    if (out.length !== HEADER_BYTES + batch.length * size) throw new Error('native: results end early');
    batch.forEach((_, i) => results.push(decode(out.subarray(HEADER_BYTES + i * size), fx)));
  }
  return results;
}

/** @param {Case[]} cases @param {boolean} fx @returns {Uint8Array} */
function encode(cases, fx) {
  const size = CASE_BYTES + (fx ? FX_SLOT : 0);
  const out = Buffer.alloc(HEADER_BYTES + cases.length * size);
  out.writeUInt32LE(MAGIC, 0);
  out.writeUInt32LE(cases.length, 4);
  out.writeUInt32LE(fx ? 1 : 0, 8);
  cases.forEach((c, i) => {
    const at = HEADER_BYTES + i * size;
    c.gpr.forEach((v, n) => out.writeBigUInt64LE(v, at + n * 8));
    out.writeBigUInt64LE(c.rip, at + 128);
    out.writeBigUInt64LE(c.rflags, at + 136);
    if (c.code.length > 24 || c.patches.length > 8) throw new Error(`case of ${c.form} is too large for the runner`);
    out.set(c.code, at + 144);
    out.set([c.code.length, c.mode, c.patches.length], at + 168);
    c.patches.forEach(({ addr, bytes }, n) => {
      if (bytes.length > 27) throw new Error(`a patch of ${c.form} is too large for the runner`);
      out.writeUInt32LE(addr, at + 176 + n * 32);
      out.set([bytes.length, ...bytes], at + 180 + n * 32);
    });
    if (c.fx) out.set(c.fx, at + CASE_BYTES);
  });
  return out;
}

/** @param {Buffer} b @param {boolean} fx @returns {Result | string} */
function decode(b, fx) {
  const vector = b[156];
  if (vector === DIED) return `killed its process (status ${b.readUInt32LE(152)})`;
  if (b[158]) return 'writes more than the runner can tell';
  const gpr = new BigUint64Array(16);
  for (let n = 0; n < 16; n++) gpr[n] = b.readBigUInt64LE(n * 8);
  /** @type {Result} */
  const result = { gpr, rip: b.readBigUInt64LE(128), rflags: b.readBigUInt64LE(136), writes: [] };
  if (vector !== NO_FAULT) result.fault = { vector, error: b.readUInt32LE(152), cr2: b.readBigUInt64LE(144) };
  for (let n = 0; n < b[157]; n++) {
    const at = 160 + n * 32;
    result.writes.push({ addr: b.readUInt32LE(at), bytes: Uint8Array.from(b.subarray(at + 5, at + 5 + b[at + 4])) });
  }
  if (fx) result.fx = Uint8Array.from(b.subarray(RESULT_BYTES, RESULT_BYTES + FX_BYTES));
  return result;
}

/**
 * Single-steps a static program that needs no system call.
 * @param {string} elf @param {number} steps at most
 * @returns {string} one line an instruction (trace.c says which)
 */
export function traceNative(elf, steps) {
  const built = build();
  if ('reason' in built) throw new Error(built.reason);
  const run = spawnSync(built.file, ['trace', elf, String(steps)], { encoding: 'utf8', maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`native: ${run.stderr}`);
  return run.stdout;
}
