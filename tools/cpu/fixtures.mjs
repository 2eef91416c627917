/** The fixture files: what the processor answered, kept as differences. README.md draws the layout. */
import { readFileSync } from 'node:fs';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { Reader, Writer } from './columns.mjs';
import { backgroundFx, backgroundRegisters, caseSeed, DATA, FX, START } from './layout.mjs';

/** @typedef {import('./layout.mjs').Case} Case */
/** @typedef {import('./layout.mjs').Result} Result */
/** @typedef {import('./undefined.mjs').Unspecified} Unspecified */
/**
 * @typedef {object} Fixture
 * @property {string} form
 * @property {number} n          which case of the form
 * @property {Case} case
 * @property {Result} expected
 * @property {number} undefinedFlags  bits of rflags that may differ
 * @property {number} undefinedRegs   a bit for each register that may differ
 *
 * @typedef {object} Header
 * @property {1} version
 * @property {number} seed
 * @property {string} family
 * @property {[id: string, cases: number][]} forms
 * @property {[name: string, bytes: number][]} columns
 */

const MODE = 1;
const MOVED = 2;
const FAULT = 4;
const UNDEFINED = 8;
const HAS_FX = 16;

/**
 * @param {string} family @param {number} seed
 * @param {readonly { form: string, n: number, case: Case, expected: Result, undef: Unspecified }[]} list
 *   in order of forms and numbers
 * @returns {Uint8Array} the file
 */
export function writeFixtures(family, seed, list) {
  const w = new Writer();
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { form, n, case: c, expected: r, undef } of list) {
    if ((counts.get(form) ?? 0) !== n) throw new Error(`cpu fixtures: case ${n} of ${form} out of order`);
    counts.set(form, n + 1);
    const moved = c.rip !== BigInt(START);
    const odd = undef.flags || undef.regs;
    w.byte(
      'head',
      (c.mode ? MODE : 0) | (moved ? MOVED : 0) | (r.fault ? FAULT : 0) | (odd ? UNDEFINED : 0) | (c.fx ? HAS_FX : 0),
    );
    w.byte('codeLength', c.code.length);
    w.bytes('code', c.code);
    if (moved) w.signed('rip', c.rip - BigInt(START));
    w.unsigned('flags', c.rflags);
    writeRegisters(w, 'in', backgroundRegisters(caseSeed(seed, form, n)), c.gpr);
    writeMemory(w, 'patch', c.patches);
    if (c.fx) writeImage(w, 'fxIn', backgroundFx(caseSeed(seed, form, n)), c.fx);

    w.signed('next', r.rip - c.rip - (r.fault ? 0n : BigInt(c.code.length)));
    w.unsigned('flagsChanged', c.rflags ^ r.rflags);
    writeRegisters(w, 'out', c.gpr, r.gpr);
    writeMemory(w, 'write', r.writes);
    if (c.fx && r.fx) writeImage(w, 'fxOut', physical(c.fx, 1), physical(r.fx, 1));
    if (r.fault) {
      w.byte('vector', r.fault.vector);
      w.unsigned('error', r.fault.error);
      if (r.fault.vector === 14) w.signed('cr2', r.fault.cr2 - BigInt(DATA));
    }
    if (odd) {
      w.unsigned('undefinedFlags', undef.flags);
      w.unsigned('undefinedRegs', undef.regs);
    }
  }
  const columns = [...w.columns].sort(([a], [b]) => (a < b ? -1 : 1));
  /** @type {Header} */
  const header = {
    version: 1,
    seed,
    family,
    forms: [...counts],
    columns: columns.map(([name, b]) => [name, b.length]),
  };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const body = Buffer.concat([length, json, ...columns.map(([, bytes]) => Uint8Array.from(bytes))]);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  return brotliCompressSync(body, { params });
}

/** @param {string | Uint8Array} file @returns {{ header: Header, columns: Map<string, Uint8Array> }} */
function open(file) {
  const body = brotliDecompressSync(typeof file === 'string' ? readFileSync(file) : file);
  let at = 4 + body.readUInt32LE(0);
  /** @type {Header} */
  const header = JSON.parse(body.toString('utf8', 4, at));
  if (header.version !== 1) throw new Error(`${file}: fixtures of version ${header.version}, this reads 1`);
  /** @type {Map<string, Uint8Array>} */
  const columns = new Map();
  for (const [name, bytes] of header.columns) columns.set(name, Uint8Array.from(body.subarray(at, (at += bytes))));
  if (at !== body.length) throw new Error(`${file}: ${body.length} bytes, the columns have ${at}`);
  return { header, columns };
}

/** @param {string | Uint8Array} file @returns {Header} the forms in it and how many cases each has */
export function headerOf(file) {
  return open(file).header;
}

/**
 * All cases of a file, in order.
 * @param {string | Uint8Array} file its name or its bytes @returns {Generator<Fixture, void, void>}
 */
export function* iterate(file) {
  const { header, columns } = open(file);
  const r = new Reader(columns);
  for (const [form, cases] of header.forms) {
    for (let n = 0; n < cases; n++) {
      const head = r.byte('head');
      const code = r.bytes('code', r.byte('codeLength'));
      const rip = BigInt(START) + (head & MOVED ? r.signed('rip') : 0n);
      const rflags = r.unsigned('flags');
      const gpr = readRegisters(r, 'in', backgroundRegisters(caseSeed(header.seed, form, n)));
      const patches = readMemory(r, 'patch');
      /** @type {Case} */
      const c = { form, code, rip, gpr, rflags, patches, mode: head & MODE ? 1 : 0 };
      if (head & HAS_FX) c.fx = readImage(r, 'fxIn', backgroundFx(caseSeed(header.seed, form, n)));

      const next = BigInt.asUintN(64, rip + r.signed('next') + (head & FAULT ? 0n : BigInt(code.length)));
      const flagsAfter = rflags ^ r.unsigned('flagsChanged');
      const after = readRegisters(r, 'out', gpr.slice());
      /** @type {Result} */
      const expected = { gpr: after, rip: next, rflags: flagsAfter, writes: readMemory(r, 'write') };
      if (c.fx) expected.fx = physical(readImage(r, 'fxOut', physical(c.fx, 1)), -1);
      if (head & FAULT) {
        const vector = r.byte('vector');
        const error = Number(r.unsigned('error'));
        expected.fault = {
          vector,
          error,
          cr2: vector === 14 ? BigInt.asUintN(64, BigInt(DATA) + r.signed('cr2')) : 0n,
        };
      }
      const undefinedFlags = head & UNDEFINED ? Number(r.unsigned('undefinedFlags')) : 0;
      const undefinedRegs = head & UNDEFINED ? Number(r.unsigned('undefinedRegs')) : 0;
      yield { form, n, case: c, expected, undefinedFlags, undefinedRegs };
    }
  }
  const unread = r.unread();
  if (unread.length) throw new Error(`${file}: more in ${unread.join(', ')} than the cases need`);
}

/**
 * Registers that differ: a byte `log2(bytes) << 4 | register`, and as many low bytes.
 * @param {Writer} w @param {string} name @param {BigUint64Array} before @param {BigUint64Array} after
 */
function writeRegisters(w, name, before, after) {
  /** @type {[number, number, bigint][]} */
  const changed = [];
  after.forEach((value, n) => {
    const differing = value ^ (before[n] ?? 0n);
    if (differing) changed.push([n, [8n, 16n, 32n, 64n].findIndex(bits => differing >> bits === 0n), value]);
  });
  w.byte(`${name}Count`, changed.length);
  for (const [n, log, value] of changed) {
    w.byte(`${name}Registers`, (log << 4) | n);
    for (let i = 0; i < 1 << log; i++) w.byte(`${name}Values`, Number((value >> BigInt(i * 8)) & 0xffn));
  }
}

/** @param {Reader} r @param {string} name @param {BigUint64Array} gpr changed in place @returns {BigUint64Array} */
function readRegisters(r, name, gpr) {
  for (let left = r.byte(`${name}Count`); left > 0; left--) {
    const tag = r.byte(`${name}Registers`);
    const bytes = r.bytes(`${name}Values`, 1 << (tag >> 4));
    let value = 0n;
    bytes.forEach((byte, i) => (value |= BigInt(byte) << BigInt(i * 8)));
    const kept = ((gpr[tag & 15] ?? 0n) >> BigInt(bytes.length * 8)) << BigInt(bytes.length * 8);
    gpr[tag & 15] = kept | value;
  }
  return gpr;
}

/** @param {Writer} w @param {string} name @param {Case['patches']} list */
function writeMemory(w, name, list) {
  w.byte(`${name}Count`, list.length);
  for (const { addr, bytes } of list) {
    w.signed(`${name}At`, BigInt(addr - DATA));
    w.byte(`${name}Length`, bytes.length);
    w.bytes(`${name}Bytes`, bytes);
  }
}

/** @param {Reader} r @param {string} name @returns {Case['patches']} */
function readMemory(r, name) {
  return Array.from({ length: r.byte(`${name}Count`) }, () => {
    const addr = DATA + Number(r.signed(`${name}At`));
    return { addr, bytes: r.bytes(`${name}Bytes`, r.byte(`${name}Length`)) };
  });
}

/**
 * Bytes of an fxsave image that differ, as runs: distance from the end of the last one, length, bytes.
 * @param {Writer} w @param {string} name @param {Uint8Array} before @param {Uint8Array} after
 */
function writeImage(w, name, before, after) {
  /** @type {[from: number, to: number][]} */
  const runs = [];
  after.forEach((byte, at) => {
    const last = runs.at(-1);
    if (byte === before[at]) return;
    if (last && at - last[1] < 2) last[1] = at + 1;
    else runs.push([at, at + 1]);
  });
  w.byte(`${name}Count`, runs.length);
  let end = 0;
  for (const [first, behind] of runs) {
    w.unsigned(`${name}At`, first - end);
    w.unsigned(`${name}Length`, behind - first);
    w.bytes(`${name}Bytes`, after.subarray(first, behind));
    end = behind;
  }
}

/** @param {Reader} r @param {string} name @param {Uint8Array} image changed in place @returns {Uint8Array} */
function readImage(r, name, image) {
  let at = 0;
  for (let left = r.byte(`${name}Count`); left > 0; left--) {
    at += Number(r.unsigned(`${name}At`));
    const bytes = r.bytes(`${name}Bytes`, Number(r.unsigned(`${name}Length`)));
    image.set(bytes, at);
    at += bytes.length;
  }
  return image;
}

/**
 * An image with st(n) where register TOP + n stands, or (way -1) back: a push or pop does not move all of them.
 * @param {Uint8Array} image @param {1 | -1} way @returns {Uint8Array}
 */
function physical(image, way) {
  const top = ((image[FX.fsw + 1] ?? 0) >> 3) & 7;
  const out = image.slice();
  for (let n = 0; n < 8; n++) {
    const at = FX.st + 16 * n;
    out.set(image.subarray(at, at + 16), FX.st + 16 * ((n + way * top) & 7));
  }
  return out;
}
