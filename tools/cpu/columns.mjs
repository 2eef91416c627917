/** Byte streams, one for each kind of number, so that like stands beside like and compresses well. */

/** Integers are LEB128, seven bits a byte, low first; signed ones zigzag (0, -1, 1, -2 ... as 0, 1, 2, 3 ...). */
export class Writer {
  /** @type {Map<string, number[]>} */
  columns = new Map();
  /** @param {string} name @returns {number[]} */
  column(name) {
    let column = this.columns.get(name);
    if (!column) this.columns.set(name, (column = []));
    return column;
  }
  /** @param {string} name @param {number} value */
  byte(name, value) {
    this.column(name).push(value);
  }
  /** @param {string} name @param {ArrayLike<number>} bytes */
  bytes(name, bytes) {
    const column = this.column(name);
    for (let i = 0; i < bytes.length; i++) column.push(bytes[i] ?? 0);
  }
  /** @param {string} name @param {bigint | number} value not negative */
  unsigned(name, value) {
    let rest = BigInt(value);
    const column = this.column(name);
    for (; rest >= 0x80n; rest >>= 7n) column.push(Number(rest & 0x7fn) | 0x80);
    column.push(Number(rest));
  }
  /** @param {string} name @param {bigint} value as 64-bit two's complement */
  signed(name, value) {
    const v = BigInt.asIntN(64, value);
    this.unsigned(name, v < 0n ? -v * 2n - 1n : v * 2n);
  }
}

export class Reader {
  /** @param {Map<string, Uint8Array>} columns */
  constructor(columns) {
    this.columns = columns;
    /** @type {Map<string, number>} */
    this.at = new Map();
  }
  /** @param {string} name @param {number} length @returns {Uint8Array} */
  bytes(name, length) {
    const column = this.columns.get(name);
    const at = this.at.get(name) ?? 0;
    if (!column || at + length > column.length) throw new Error(`cpu fixtures: column ${name} ends early`);
    this.at.set(name, at + length);
    return column.slice(at, at + length);
  }
  /** @param {string} name @returns {number} */
  byte(name) {
    return /** @type {number} */ (this.bytes(name, 1)[0]);
  }
  /** @param {string} name @returns {bigint} */
  unsigned(name) {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = this.byte(name);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
  /** @param {string} name @returns {bigint} */
  signed(name) {
    const v = this.unsigned(name);
    return v & 1n ? -((v + 1n) >> 1n) : v >> 1n;
  }
  /** @returns {string[]} columns of which something is left */
  unread() {
    return [...this.columns].filter(([name, bytes]) => (this.at.get(name) ?? 0) < bytes.length).map(([name]) => name);
  }
}
