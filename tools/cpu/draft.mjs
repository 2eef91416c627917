/** A case while it is made: registers, flags and memory are chosen here; encode.mjs turns it into bytes. */
import {
  BASE_FLAGS,
  backgroundByte,
  backgroundFx,
  backgroundRegisters,
  DATA,
  DATA_PAGES,
  FLAG,
  LAND,
  LAST,
  PAGE,
  Random,
  RO,
  START,
  STATUS_FLAGS,
  STEP,
} from './layout.mjs';

/** @typedef {import('./forms.mjs').Form} Form */
/** @typedef {import('./layout.mjs').Patch} Patch */
/**
 * A memory operand; base 16 is rip, -1 is none.
 * @typedef {{ base: number, index: number, scale: number, disp: bigint, dispBytes: 0 | 1 | 4 }} Address
 */

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

const M64 = (1n << 64n) - 1n;
// biome-ignore format: a list
/** Values at the edges of what an operation distinguishes; cut to the operand's size. */
const INTERESTING = [
  0n, 0n, 1n, 2n, 3n, 7n, 8n, M64, M64 - 1n, 0x7fn, 0x80n, 0x81n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn, 0x1_0000n,
  0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n,
  0x8000_0000_0000_0001n, 0x5555_5555_5555_5555n, 0xaaaa_aaaa_aaaa_aaaan, 0x8080_8080_8080_8080n,
  0x0f0f_0f0f_0f0f_0f0fn,
];
const NON_CANONICAL = [
  0x8000_0000_0000n,
  0x8000_0000_1000n,
  0x1234_5678_9abc_def0n,
  0x8000_0000_0000_0000n,
  0xffff_7fff_ffff_f000n,
];
/** Where nothing is mapped, and nothing will be in the runner's process. */
const UNMAPPED = [
  0x10,
  0x1000,
  DATA - 0x20,
  DATA - PAGE,
  RO + PAGE,
  RO + PAGE + 0x7f8,
  LAST + PAGE,
  LAST + PAGE + 0x123,
];

export class Draft {
  /** @param {Form} form @param {number} seed */
  constructor(form, seed) {
    this.form = form;
    this.random = new Random(seed);
    this.gpr = backgroundRegisters(seed);
    /** Registers whose value has a meaning and must stay. @type {Set<number>} */
    this.pinned = new Set();
    /** @type {Patch[]} */
    this.patches = [];
    let flags = this.random.u32() & STATUS_FLAGS;
    if (this.random.chance(form.family === 'string' ? 35 : 10)) flags |= FLAG.DF;
    this.rflags = BASE_FLAGS | BigInt(flags);
    /** @type {0 | 1} */
    this.mode = form.options.land ? LAND : STEP;
    this.rip = START;
    /** Byte registers 4-7 are ah to bh, and no REX byte may be there. */
    this.noRex = form.size !== 8 && this.random.chance(form.operands.some(o => /^[EGZ]b$/.test(o)) ? 35 : 5);
    /** @type {-1 | 4 | 5} */
    this.segment = -1;
    this.address32 = false;
    /** Memory operands must not fault (something else will, or must not). */
    this.safe = form.options.safe ?? false;
    /** @type {Address | undefined} */
    this.address = undefined;
    /** Linear address of the memory operand. @type {bigint | undefined} */
    this.linear = undefined;
    this.g = 0;
    this.rm = 0;
    this.z = 0;
    /** What an Ib is drawn from instead of any byte. @type {readonly number[] | undefined} */
    this.immediates = undefined;
    /** What an Iw is drawn from. @type {readonly number[] | undefined} */
    this.words = undefined;
    this.displacement = 0n;
    /** The fxsave image of a form that has one (`options.fx`). */
    this.fx = form.options.fx ? backgroundFx(seed) : undefined;
  }

  /** Gives a register a value that must stay. @param {number} reg @param {bigint} value */
  pin(reg, value) {
    this.gpr[reg] = value & M64;
    this.pinned.add(reg);
  }
  /** Replaces the low bytes of a register. @param {number} reg @param {bigint} value @param {number} bytes */
  setLow(reg, value, bytes) {
    const mask = (1n << BigInt(bytes * 8)) - 1n;
    this.pin(reg, ((this.gpr[reg] ?? 0n) & ~mask) | (value & mask));
  }
  /** A register no one needs. @param {number[]} [not] @returns {number} */
  free(not = []) {
    for (;;) {
      const reg = this.random.below(this.noRex ? 8 : 16);
      if (!this.pinned.has(reg) && !not.includes(reg)) return reg;
    }
  }
  /** @param {number} bytes @returns {bigint} an operand at an edge of the range, or random */
  value(bytes) {
    const v = this.random.chance(75) ? this.random.pick(INTERESTING) : this.random.u64();
    return BigInt.asUintN(bytes * 8, v);
  }

  /**
   * Sets bytes of memory; those outside mapped pages are dropped.
   * @param {number} addr @param {ArrayLike<number>} bytes
   */
  patch(addr, bytes) {
    for (let at = 0; at < bytes.length; ) {
      let end = at;
      while (end < bytes.length && end - at < 27 && mapped(addr + end)) end++;
      if (end > at) this.patches.push({ addr: addr + at, bytes: Uint8Array.from(Array.from(bytes).slice(at, end)) });
      at = Math.max(end, at + 1);
    }
  }
  /** @param {bigint} addr @param {bigint} value @param {number} bytes */
  patchValue(addr, value, bytes) {
    if (addr < BigInt(DATA - 16) || addr > BigInt(LAST + PAGE)) return;
    this.patch(
      Number(addr),
      Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(i * 8)) & 0xffn)),
    );
  }
  /**
   * @param {bigint} addr @param {number} bytes
   * @returns {bigint} what memory holds there now; 0 where nothing is mapped
   */
  read(addr, bytes) {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.readByte(Number(addr) + i));
    return value;
  }
  /** @param {number} addr @returns {number} */
  readByte(addr) {
    if (!mapped(addr)) return 0;
    const patch = this.patches.findLast(p => addr >= p.addr && addr < p.addr + p.bytes.length);
    return patch?.bytes[addr - patch.addr] ?? backgroundByte(addr);
  }

  /**
   * A linear address for an access of so many bytes: mostly good, sometimes at every kind of edge.
   * @param {number} bytes @returns {bigint}
   */
  target(bytes) {
    const r = this.random;
    const good = () => r.pick([DATA, DATA + 0x7c0, DATA + 0x1300, LAST, LAST + 0x900]) + r.below(64);
    const dice = this.safe ? 0 : r.below(100);
    if (dice < 66) return BigInt(good());
    const inside = 1 + r.below(Math.max(1, bytes - 1)); // of the bytes, on the first page
    if (dice < 74) return BigInt(DATA + PAGE - inside); // two good pages
    if (dice < 77) return BigInt(r.pick([DATA, LAST + PAGE - Math.max(1, bytes), RO - Math.max(1, bytes)]));
    if (dice < 83) return BigInt(RO + r.below(0xff0));
    if (dice < 86) return BigInt(RO - inside); // writable, then read only
    if (dice < 91) return BigInt(r.pick(UNMAPPED));
    if (dice < 95) return BigInt(r.pick([RO + PAGE, LAST + PAGE]) - inside); // mapped, then not
    if (dice < 97) return BigInt(r.pick([DATA, LAST]) - inside); // not mapped, then mapped
    return r.pick(NON_CANONICAL);
  }
  /**
   * rsp (or rbp) for a push or pop of so many bytes.
   * @param {'push' | 'pop'} how @param {number} bytes @returns {bigint}
   */
  stack(how, bytes) {
    const r = this.random;
    this.safe = true;
    const good = LAST + 0x700 + r.below(32) * 8 + (r.chance(15) ? r.below(8) : 0);
    if (!r.chance(14)) {
      if (r.chance(70)) this.safe = false;
      return BigInt(good);
    }
    if (r.chance(20)) return r.pick(NON_CANONICAL);
    const inside = 1 + r.below(bytes - 1);
    if (how === 'push')
      return BigInt(r.pick([LAST, LAST + inside, RO + 0x100, RO + bytes - inside, RO + PAGE + 0x800]));
    return BigInt(
      r.pick([LAST + PAGE, LAST + PAGE - inside, RO + 0x100, RO + PAGE, RO + PAGE - inside, LAST - inside]),
    );
  }
  /** Where a branch may go: the trap flag stops it before it gets there. @returns {bigint} */
  branchTarget() {
    const r = this.random;
    const dice = r.below(10);
    if (dice < 6) return BigInt(START + r.below(0x400));
    if (dice < 8) return r.pick([0n, 0x1_2345_6789n, 0x7000_0000_1234n, BigInt(DATA + 0x10)]);
    return r.pick(NON_CANONICAL);
  }
}

/** @param {number} addr @returns {boolean} whether a data page is there */
export function mapped(addr) {
  return DATA_PAGES.some(([page]) => addr >= page && addr < page + PAGE);
}
