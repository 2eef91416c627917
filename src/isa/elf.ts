/**
 * ELF images: what to load where, and the symbols. Reads 32- and 64-bit little-endian files; an image is untrusted, so every
 * offset is checked before it is used. Source: the System V ABI, chapter 4 (object files) and 5 (program loading).
 */
import { asVaddr, type Vaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';

export interface Segment {
  readonly virtual: bigint;
  readonly physical: bigint;
  /** Bytes from the file; the rest up to `memoryBytes` is zero. */
  readonly data: Uint8Array;
  readonly memoryBytes: number;
  readonly flags: { readonly read: boolean; readonly write: boolean; readonly execute: boolean };
}
export interface ElfSymbol {
  readonly at: Vaddr;
  readonly bytes: number;
  readonly name: string;
}
export interface Elf {
  readonly bits: 32 | 64;
  /** e_machine: 3 i386, 40 ARM, 62 x86-64. */
  readonly machine: number;
  readonly entry: Vaddr;
  readonly segments: readonly Segment[];
  /** Functions, objects and labels by address; no sections, no files. Of several at one address, functions come first. */
  readonly symbols: readonly ElfSymbol[];
  readonly sections: readonly Section[];
  readonly notes: readonly Note[];
}
/** What an image tells whoever loads it; owner and type say what about. */
export interface Note {
  readonly owner: string;
  readonly type: number;
  readonly data: Uint8Array;
}
/** A named part of the file, for what loads nothing by itself (debug data, unwind tables). */
export interface Section {
  readonly name: string;
  readonly at: bigint;
  /** Empty for a section that takes no room in the file. */
  readonly data: Uint8Array;
}

const PT_LOAD = 1;
const PT_NOTE = 4;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SYMBOL_ORDER: Readonly<Record<number, number>> = { 2: 0, 1: 1, 0: 2 }; // STT_FUNC, STT_OBJECT, STT_NOTYPE
const MAX_SEGMENT_BYTES = 2 ** 31;

/*
 * A note: u32 bytes of the owner's name, u32 bytes of data, u32 type; then the name and the data, each from a multiple of
 * four on. One that does not fit ends the list.
 */
function* notesIn(bytes: Uint8Array): Generator<Note> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 12 <= bytes.length; ) {
    const [nameBytes, dataBytes, type] = [0, 4, 8].map(n => view.getUint32(at + n, true)) as [number, number, number];
    const data = at + 12 + Math.ceil(nameBytes / 4) * 4;
    if (data + dataBytes > bytes.length) return;
    const owner = Buffer.from(bytes.subarray(at + 12, at + 12 + nameBytes))
      .toString('latin1')
      .replace(/\0.*$/s, '');
    yield { owner, type, data: bytes.subarray(data, data + dataBytes) };
    at = data + Math.ceil(dataBytes / 4) * 4;
  }
}

/**
 * Reads an image.
 * @param name for messages: the file
 * @throws Trouble naming the file and what is wrong with it
 */
export function parseElf(bytes: Uint8Array, name: string): Elf {
  const bad = (why: string): never => {
    throw new Trouble(`${name}: ${why}`);
  };
  if (bytes.length < 52 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46)
    bad('not an ELF image');
  if (bytes[4] !== 1 && bytes[4] !== 2) bad(`ELF class ${bytes[4]} is unknown`);
  if (bytes[5] !== 1) bad('a big-endian ELF image is not supported');
  const wide = bytes[4] === 2;
  if (wide && bytes.length < 64) bad('the ELF header is cut off');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): bigint => (wide ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  /** An offset or size of the file as a number; those that do not fit are beyond any file. */
  const size = (at: number): number => Number(word(at));
  const within = (from: number, length: number, what: string): void => {
    if (!(from >= 0 && length >= 0 && from + length <= bytes.length))
      bad(`${what} lies outside the file (${from} + ${length} of ${bytes.length} bytes)`);
  };
  const [phAt, shAt, sizes] = wide ? [size(32), size(40), 54] : [size(28), size(32), 42];
  const phSize = view.getUint16(sizes, true);
  const phCount = view.getUint16(sizes + 2, true);
  const shSize = view.getUint16(sizes + 4, true);
  const shCount = view.getUint16(sizes + 6, true);

  if (phCount > 0 && phSize < (wide ? 56 : 32)) bad(`program headers of ${phSize} bytes`);
  within(phAt, phCount * phSize, 'the table of program headers');
  const segments: Segment[] = [];
  const notes: Note[] = [];
  for (let i = 0; i < phCount; i++) {
    const at = phAt + i * phSize;
    const type = view.getUint32(at, true);
    if (type === PT_NOTE) {
      const [offset, length] = wide ? [size(at + 8), size(at + 32)] : [size(at + 4), size(at + 16)];
      within(offset, length, `note segment ${i}`);
      notes.push(...notesIn(bytes.subarray(offset, offset + length)));
    }
    if (type !== PT_LOAD) continue;
    const f = wide
      ? {
          offset: size(at + 8),
          virtual: word(at + 16),
          physical: word(at + 24),
          file: size(at + 32),
          memory: size(at + 40),
          flags: view.getUint32(at + 4, true),
        }
      : {
          offset: size(at + 4),
          virtual: word(at + 8),
          physical: word(at + 12),
          file: size(at + 16),
          memory: size(at + 20),
          flags: view.getUint32(at + 24, true),
        };
    within(f.offset, f.file, `segment ${i}`);
    if (f.memory < f.file || f.memory > MAX_SEGMENT_BYTES)
      bad(`segment ${i} has ${f.memory} bytes in memory and ${f.file} in the file`);
    segments.push({
      virtual: f.virtual,
      physical: f.physical,
      data: bytes.subarray(f.offset, f.offset + f.file),
      memoryBytes: f.memory,
      flags: { read: (f.flags & 4) !== 0, write: (f.flags & 2) !== 0, execute: (f.flags & 1) !== 0 },
    });
  }

  const symbols: (ElfSymbol & { order: number })[] = [];
  if (shCount > 0 && shSize < (wide ? 64 : 40)) bad(`section headers of ${shSize} bytes`);
  within(shAt, shCount * shSize, 'the table of section headers');
  const section = (
    i: number,
  ): { name: number; type: number; at: bigint; offset: number; bytes: number; link: number } => {
    const at = shAt + i * shSize;
    return wide
      ? {
          name: view.getUint32(at, true),
          type: view.getUint32(at + 4, true),
          at: word(at + 16),
          offset: size(at + 24),
          bytes: size(at + 32),
          link: view.getUint32(at + 40, true),
        }
      : {
          name: view.getUint32(at, true),
          type: view.getUint32(at + 4, true),
          at: word(at + 12),
          offset: size(at + 16),
          bytes: size(at + 20),
          link: view.getUint32(at + 24, true),
        };
  };
  const stringAt = (strings: Uint8Array, at: number): string => {
    const end = strings.indexOf(0, at);
    return Buffer.from(strings.subarray(at, end < 0 ? strings.length : end)).toString('latin1');
  };
  const dataOf = (i: number, what: string): Uint8Array => {
    const { type, offset, bytes: length } = section(i);
    if (type === SHT_NOBITS) return bytes.subarray(0, 0);
    within(offset, length, what);
    return bytes.subarray(offset, offset + length);
  };
  const sections: Section[] = [];
  const namesAt = view.getUint16(sizes + 8, true);
  if (namesAt > 0 && namesAt < shCount) {
    const names = dataOf(namesAt, 'the table of section names');
    for (let i = 1; i < shCount; i++) {
      const { name: nameAt, at } = section(i);
      sections.push({ name: stringAt(names, nameAt), at, data: dataOf(i, `section ${i}`) });
    }
  }
  for (let i = 0; i < shCount; i++) {
    const table = section(i);
    if (table.type !== SHT_SYMTAB) continue;
    if (table.link >= shCount) bad(`symbol table ${i} names string table ${table.link} of ${shCount}`);
    const strings = section(table.link);
    within(table.offset, table.bytes, `symbol table ${i}`);
    within(strings.offset, strings.bytes, `string table ${table.link}`);
    const names = bytes.subarray(strings.offset, strings.offset + strings.bytes);
    const step = wide ? 24 : 16;
    for (let at = table.offset; at + step <= table.offset + table.bytes; at += step) {
      const info = view.getUint8(at + (wide ? 4 : 12));
      const home = view.getUint16(at + (wide ? 6 : 14), true);
      const order = SYMBOL_ORDER[info & 15];
      const nameAt = view.getUint32(at, true);
      if (order === undefined || home === 0 || nameAt === 0 || nameAt >= names.length) continue; // not code or data, or undefined
      symbols.push({
        at: asVaddr(word(at + (wide ? 8 : 4))),
        bytes: Math.min(size(at + (wide ? 16 : 8)), 2 ** 31),
        name: stringAt(names, nameAt),
        order,
      });
    }
  }
  symbols.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.order - b.order || (a.name < b.name ? -1 : 1)));
  return {
    bits: wide ? 64 : 32,
    machine: view.getUint16(18, true),
    entry: asVaddr(word(24)),
    segments,
    sections,
    notes,
    symbols: symbols.map(({ at, bytes: length, name: called }) => ({ at, bytes: length, name: called })),
  };
}
