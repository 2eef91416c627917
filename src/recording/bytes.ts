/** Bytes written at their end and read from their front, little-endian, and room for what lies between. */
import { Trouble } from '../base/trouble.js';

/** Runs of like bytes at least this long are compressed alone. */
export const CUT_BYTES = 1024;

/** Bytes that grow at their end. `bytes` may be replaced by any call that writes. */
export class Sink {
  bytes: Uint8Array = new Uint8Array(1 << 20);
  at = 0;
  /** Where to cut for compression: ascending, without 0 and the end. */
  readonly cuts: number[] = [];

  clear(): void {
    this.at = 0;
    this.cuts.length = 0;
  }
  /** Makes room for n more bytes. */
  need(n: number): void {
    if (this.at + n <= this.bytes.length) return;
    const more = new Uint8Array(2 * (this.at + n));
    more.set(this.bytes.subarray(0, this.at));
    this.bytes = more;
  }
  u8(v: number): void {
    this.need(1);
    this.bytes[this.at++] = v;
  }
  u32(v: number): void {
    this.need(4);
    for (let k = 0; k < 4; k++) this.bytes[this.at++] = v >>> (8 * k);
  }
  setU32(at: number, v: number): void {
    for (let k = 0; k < 4; k++) this.bytes[at + k] = v >>> (8 * k);
  }
  f64(v: number): void {
    this.need(8);
    new DataView(this.bytes.buffer).setFloat64(this.at, v, true);
    this.at += 8;
  }
  /** Says that the n bytes from here on are alike. */
  run(at: number, n: number): void {
    if (n < CUT_BYTES) return;
    this.cut(at);
    this.cut(at + n);
  }
  cut(at: number): void {
    if (at > 0 && this.cuts.at(-1) !== at) this.cuts.push(at);
  }
}

/** Bytes read from the front. Reading past the end is damage. */
export class Bytes {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  private readonly need: ((from: number, to: number) => void) | undefined;
  /** @param need makes bytes that are not there yet, before they are taken */
  constructor(bytes: Uint8Array, at = 0, end = bytes.length, need?: (from: number, to: number) => void) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.need = need;
  }
  /** Another reader of the same bytes, at..end-1 of them. */
  part(at: number, end: number): Bytes {
    return new Bytes(this.bytes, at, end, this.need);
  }
  /** Takes n bytes and returns where they begin. */
  take(n: number): number {
    const at = this.at;
    this.pass(n);
    this.need?.(at, this.at);
    return at;
  }
  /** Goes past n bytes that nobody looks at. */
  pass(n: number): void {
    if (n > this.end - this.at) throw new Trouble(`a column of ${n} bytes where ${this.end - this.at} are left`);
    this.at += n;
  }
  u8(): number {
    return this.bytes[this.take(1)]!;
  }
  u32(): number {
    const at = this.take(4);
    const b = this.bytes;
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
  }
  f64(): number {
    const at = this.take(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset).getFloat64(at, true);
  }
}

/** Room for intermediate values, used again for every chunk: making and dropping arrays costs more than filling them. */
export class Scratch {
  private array = new Uint32Array(1 << 14);
  /** At least n numbers, which may be anything. */
  of(n: number): Uint32Array {
    if (this.array.length < n) this.array = new Uint32Array(2 * n);
    return this.array;
  }
  /** The first n numbers are zero. */
  zeros(n: number): Uint32Array {
    return this.of(n).fill(0, 0, n);
  }
}
/** The same of bytes. */
export class ByteScratch {
  private array = new Uint8Array(1 << 14);
  of(n: number): Uint8Array {
    if (this.array.length < n) this.array = new Uint8Array(2 * n);
    return this.array;
  }
}
