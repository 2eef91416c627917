/**
 * Offsets of a kernel's structures, from its type information (BTF), which stock kernels carry in a section .BTF.
 *
 *   header   u16 0xeb9f, u8 version, u8 flags, u32 hdr_len, u32 type_off, u32 type_len, u32 str_off, u32 str_len
 *   type     u32 name_off, u32 info, u32 size or type; then what its kind says
 *   info     31: kind_flag      28..24: kind      15..0: vlen
 *   member   u32 name_off, u32 type, u32 offset in bits (with kind_flag: bits 23..0; above them the size of a bit field)
 *
 * Source: Documentation/bpf/btf.rst, include/uapi/linux/btf.h.
 */

const MAGIC = 0xeb9f;
const TYPE_BYTES = 12;
const KIND = { struct: 4, union: 5, typedef: 8, volatile: 9, const: 10, restrict: 11, typeTag: 18 } as const;
/** Bytes behind a type, by kind: so many, and so many for each of its vlen. */
const TAIL: readonly (readonly [fixed: number, each: number])[] = [
  [0, 0],
  [4, 0], //   int
  [0, 0], //   pointer
  [12, 0], //  array
  [0, 12], //  struct
  [0, 12], //  union
  [0, 8], //   enum
  [0, 0], //   forward declaration
  [0, 0], //   typedef
  [0, 0], //   volatile
  [0, 0], //   const
  [0, 0], //   restrict
  [0, 0], //   function
  [0, 8], //   prototype
  [4, 0], //   variable
  [0, 12], //  section of data
  [0, 0], //   float
  [4, 0], //   declaration tag
  [0, 0], //   type tag
  [0, 12], //  64-bit enum
];
const QUALIFIERS: ReadonlySet<number> = new Set([KIND.typedef, KIND.volatile, KIND.const, KIND.restrict, KIND.typeTag]);
/** Structures in structures without a name; deeper than any kernel nests them. */
const NESTED_MAX = 16;

export class Btf {
  private readonly bytes: Buffer;
  private readonly strings: number;
  /** Where type n is, from 1 on. */
  private readonly types: readonly number[];

  /** @returns undefined when the bytes are no type information that we can read */
  static of(section: Uint8Array): Btf | undefined {
    const bytes = Buffer.from(section.buffer, section.byteOffset, section.length);
    if (bytes.length < 24 || bytes.readUInt16LE(0) !== MAGIC) return undefined;
    const header = bytes.readUInt32LE(4);
    const from = header + bytes.readUInt32LE(8);
    const end = from + bytes.readUInt32LE(12);
    const strings = header + bytes.readUInt32LE(16);
    if (end > bytes.length || strings > bytes.length) return undefined;
    const types = [0];
    for (let at = from; at + TYPE_BYTES <= end; ) {
      types.push(at);
      const info = bytes.readUInt32LE(at + 4);
      const tail = TAIL[(info >>> 24) & 31];
      if (!tail) return undefined; // a kind from the future: we cannot know where the next type begins
      at += TYPE_BYTES + tail[0] + tail[1] * (info & 0xffff);
      if (at > end) return undefined;
    }
    return new Btf(bytes, strings, types);
  }
  private constructor(bytes: Buffer, strings: number, types: readonly number[]) {
    this.bytes = bytes;
    this.strings = strings;
    this.types = types;
  }

  /** Byte offset of a member in a structure, also when it is in one without a name inside; undefined if there is none. */
  offsetOf(structure: string, member: string): number | undefined {
    for (let n = 1; n < this.types.length; n++) {
      const { kind, name } = this.at(n);
      if (kind === KIND.struct && name === structure) {
        const bits = this.bitsTo(n, member, NESTED_MAX);
        if (bits !== undefined) return bits >>> 3;
      }
    }
    return undefined;
  }

  private bitsTo(type: number, member: string, depth: number): number | undefined {
    const { kind, flag, count, tail } = this.at(type);
    if (depth === 0 || (kind !== KIND.struct && kind !== KIND.union)) return undefined;
    for (let n = 0; n < count; n++) {
      const at = tail + 12 * n;
      const name = this.text(this.bytes.readUInt32LE(at));
      const offset = this.bytes.readUInt32LE(at + 8) & (flag ? 0xff_ffff : 0xffff_ffff);
      if (name === member) return offset;
      if (name !== '') continue;
      const inside = this.bitsTo(this.plain(this.bytes.readUInt32LE(at + 4)), member, depth - 1);
      if (inside !== undefined) return offset + inside;
    }
    return undefined;
  }
  /** The type without its qualifiers and other names; 0 for none. */
  private plain(type: number): number {
    let at = type;
    for (let n = 0; n < NESTED_MAX; n++) {
      const { kind, other } = this.at(at);
      if (!QUALIFIERS.has(kind)) return at;
      at = other;
    }
    return 0;
  }
  private at(n: number) {
    const at = this.types[n] || undefined;
    if (at === undefined) return { kind: 0, flag: false, count: 0, name: '', other: 0, tail: 0 };
    const info = this.bytes.readUInt32LE(at + 4);
    return {
      kind: (info >>> 24) & 31,
      flag: info >>> 31 !== 0,
      count: info & 0xffff,
      name: this.text(this.bytes.readUInt32LE(at)),
      other: this.bytes.readUInt32LE(at + 8),
      tail: at + TYPE_BYTES,
    };
  }
  private text(offset: number): string {
    const from = this.strings + offset;
    const end = this.bytes.indexOf(0, from);
    return offset === 0 || from >= this.bytes.length ? '' : this.bytes.toString('latin1', from, end < 0 ? from : end);
  }
}
