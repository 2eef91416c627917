/**
 * The file is a header and then frames, each with its own checksums, appended and (but for TAIL) never changed.
 *
 *   header   magic 8 | version u16 | endian u8 = 1 | 0 | header bytes u32 | map bytes u32 | map | zeros | crc u32
 *            4 KiB, or the next multiple of it that holds the map
 *   frame    magic u32 | payload bytes u32 | payload crc u32 | events u32 | first f64 | type u8 | 0 u8 | flags u16 | crc u32
 *            then the payload; the last crc covers the 28 bytes before it
 *
 * All numbers are little-endian; checksums are CRC-32 (IEEE), as zlib has it.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
// Not 'msgpackr', which loads a native library first: ten milliseconds of every command, for lists of short strings.
import { Packr } from 'msgpackr/pack';
import { Trouble } from '../base/trouble.js';
import { type Layout, packLayout, unpackLayout } from './layout.js';
import type { Header } from './source.js';

/**
 * 1: the first format
 * 2: the first KEYFRAME leaves out entries that came as zeros
 * 3: a piece that is one byte again and again is stored as that byte
 */
export const FORMAT_VERSION = 3;
/** The first version whose indexes and keyframes are those that this one makes of the same events. */
export const INDEXES_SINCE = 2;
/** As PNG's: a byte that is no text, a name, and line ends that show whether something took it for text. */
export const MAGIC = Uint8Array.of(0x89, 0x52, 0x57, 0x4b, 0x0d, 0x0a, 0x1a, 0x0a);
export const PAGE = 4096;
const FIXED_BYTES = 20;
const HEADER_BYTES_MAX = 1 << 20;

/** Numbers of the types of frame in the file. */
export const FRAME = {
  chunk: 1,
  tail: 2,
  detail: 3,
  keyframe: 4,
  lexicon: 5,
  symbols: 6,
  stacks: 7,
  index: 8,
  memory: 9,
  footer: 10,
} as const;
export type FrameType = (typeof FRAME)[keyof typeof FRAME];
export const FRAME_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(FRAME).map(([name, n]) => [n, name]),
);

const MIB = 1 << 20;
/** The most bytes the payload of each type may have: what a reader may have to hold at once. */
export const PAYLOAD_MAX: Readonly<Record<FrameType, number>> = {
  [FRAME.chunk]: 64 * MIB,
  [FRAME.tail]: 64 * MIB,
  [FRAME.detail]: 64 * MIB,
  [FRAME.keyframe]: 256 * MIB,
  [FRAME.lexicon]: 16 * MIB,
  [FRAME.symbols]: 64 * MIB,
  [FRAME.stacks]: 64 * MIB,
  [FRAME.index]: 256 * MIB,
  [FRAME.memory]: 64 * MIB,
  [FRAME.footer]: 256 * MIB,
};
/** The most bytes a body may have when it is decompressed. */
export const BODY_MAX = 64 * MIB;

/** Maps without shared structures: each payload reads on its own. Key order is insertion order: see envelopes.ts. */
export const msgpack = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/** Unpacks msgpack, or throws Trouble. */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return msgpack.unpack(bytes);
  } catch {
    throw new Trouble('its msgpack is not valid');
  }
}

export const FRAME_BYTES = 32;
const FRAME_MAGIC = 0x4d52_4657; // "WFRM"

export interface FrameHeader {
  readonly type: FrameType;
  /** Bytes of payload. */
  readonly bytes: number;
  readonly payloadCrc: number;
  /** How many events, entries or pages the payload has. */
  readonly count: number;
  /** Number of the first of them; of events seq. */
  readonly first: number;
  /** See MORE. */
  readonly flags: number;
}
/** Flag: the thing goes on in the next frame of this type. */
export const MORE = 1;

/** The header of a frame as it is in the file, before the payload. */
export function frameHead(type: FrameType, count: number, first: number, flags: number, payload: Uint8Array): Buffer {
  const out = Buffer.alloc(FRAME_BYTES);
  out.writeUInt32LE(FRAME_MAGIC, 0);
  out.writeUInt32LE(payload.length, 4);
  out.writeUInt32LE(crc32(payload), 8);
  out.writeUInt32LE(count, 12);
  out.writeDoubleLE(first, 16);
  out.writeUInt8(type, 24);
  out.writeUInt8(0, 25);
  out.writeUInt16LE(flags, 26);
  out.writeUInt32LE(crc32(out.subarray(0, 28)), 28);
  return out;
}

/** Reads a frame's header, or says what is wrong with it. `left`: bytes of the file after it. */
export function parseFrame(bytes: Buffer, left: number): FrameHeader | string {
  if (bytes.readUInt32LE(0) !== FRAME_MAGIC) return 'no frame begins here';
  if (bytes.readUInt32LE(28) !== crc32(bytes.subarray(0, 28))) return 'checksum of a frame header is wrong';
  const type = bytes.readUInt8(24) as FrameType;
  const length = bytes.readUInt32LE(4);
  if (!(type in FRAME_NAMES)) return `a frame of the unknown type ${type}`;
  if (length > PAYLOAD_MAX[type]) return `a ${FRAME_NAMES[type]} frame of ${length} bytes`;
  if (length > left) return `a ${FRAME_NAMES[type]} frame of ${length} bytes where the file has ${left} more`;
  const first = bytes.readDoubleLE(16);
  if (!Number.isSafeInteger(first) || first < 0) return 'a frame header with a number out of range';
  return {
    type,
    bytes: length,
    payloadCrc: bytes.readUInt32LE(8),
    count: bytes.readUInt32LE(12),
    first,
    flags: bytes.readUInt16LE(26),
  };
}

/** What the header of a file says. */
export interface FileHeader {
  readonly header: Header;
  readonly layout: Layout;
  /** Bytes before the first frame. */
  readonly bytes: number;
  /** Identity of what was run: sha-256 (hex) of the header's map without the layout. The same run has the same id. */
  readonly id: string;
}

/** The header as packed: keys in one order, nothing that is not declared. */
const plainHeader = (h: Header): Record<string, unknown> => ({
  version: h.version,
  system: h.system,
  guest: h.guest,
  isa: h.isa,
  vcpus: h.vcpus,
  memoryBytes: h.memoryBytes,
  detail: h.detail,
  config: Object.fromEntries(Object.entries(h.config).sort(([a], [b]) => (a < b ? -1 : 1))),
  images: h.images.map(({ name, sha256 }) => ({ name, sha256 })),
});
/** Identity of what was run: see FileHeader.id. */
export const idOf = (h: Header): string =>
  createHash('sha256')
    .update(msgpack.pack(plainHeader(h)))
    .digest('hex');

/** The header of a new file. Throws Trouble if it is larger than a header may be. */
export function headerBytes(header: Header, layout: Layout): Buffer {
  const map = msgpack.pack({ header: plainHeader(header), layout: packLayout(layout) });
  const bytes = PAGE * Math.ceil((FIXED_BYTES + map.length + 4) / PAGE);
  if (bytes > HEADER_BYTES_MAX) throw new Trouble(`a recording's header cannot hold ${map.length} bytes of settings`);
  const out = Buffer.alloc(bytes);
  out.set(MAGIC, 0);
  out.writeUInt16LE(FORMAT_VERSION, 8);
  out.writeUInt8(1, 10);
  out.writeUInt32LE(bytes, 12);
  out.writeUInt32LE(map.length, 16);
  out.set(map, FIXED_BYTES);
  out.writeUInt32LE(crc32(out.subarray(0, bytes - 4)), bytes - 4);
  return out;
}

/**
 * Reads the header of a file.
 * @param read gives bytes from the start of the file, fewer where it ends
 * @throws Trouble that says what the file is instead
 */
export function parseHeader(read: (bytes: number) => Buffer): FileHeader {
  const fixed = read(FIXED_BYTES);
  if (fixed.length === 0) throw new Trouble('the file is empty');
  const magic = fixed.subarray(0, MAGIC.length);
  if (!MAGIC.subarray(0, magic.length).every((b, i) => magic[i] === b))
    throw new Trouble('this is no rewalk recording');
  if (fixed.length < FIXED_BYTES) throw new Trouble('the file ends within its header');
  const version = fixed.readUInt16LE(8);
  if (version > FORMAT_VERSION || version === 0)
    throw new Trouble(`made by another version of rewalk (format ${version}, this one reads up to ${FORMAT_VERSION})`);
  if (fixed.readUInt8(10) !== 1) throw new Trouble('its header is damaged (byte order)');
  const bytes = fixed.readUInt32LE(12);
  const mapBytes = fixed.readUInt32LE(16);
  if (bytes > HEADER_BYTES_MAX || bytes % PAGE !== 0 || mapBytes > bytes - FIXED_BYTES - 4)
    throw new Trouble('its header is damaged (length)');
  const all = read(bytes);
  if (all.length < bytes) throw new Trouble('the file ends within its header');
  if (all.readUInt32LE(bytes - 4) !== crc32(all.subarray(0, bytes - 4)))
    throw new Trouble('its header is damaged (checksum)');
  const map = unpack(all.subarray(FIXED_BYTES, FIXED_BYTES + mapBytes)) as { header?: unknown; layout?: unknown };
  const header = checkHeader(map?.header);
  return { header, layout: unpackLayout(map.layout), bytes, id: idOf(header) };
}

function checkHeader(value: unknown): Header {
  const h = value as Header;
  const texts = (...v: unknown[]): boolean => v.every(x => typeof x === 'string' && x.length <= PAGE);
  const whole = (v: unknown): boolean => Number.isSafeInteger(v) && (v as number) >= 0;
  const ok =
    typeof h === 'object' &&
    h !== null &&
    texts(h.system, h.guest, h.isa) &&
    whole(h.version) &&
    whole(h.vcpus) &&
    h.vcpus <= 256 &&
    whole(h.memoryBytes) &&
    (h.detail === 'mmu' || h.detail === 'full') &&
    typeof h.config === 'object' &&
    h.config !== null &&
    texts(...Object.values(h.config)) &&
    Array.isArray(h.images) &&
    h.images.every(i => texts(i?.name, i?.sha256));
  if (!ok) throw new Trouble('its header is damaged (settings)');
  return h;
}
