/**
 * Linux kernel images. A bzImage is a boot sector, real-mode code, and a decompressor with the packed kernel (an ELF image,
 * vmlinux) as its payload. A PV guest starts in vmlinux itself, so we take the payload out and unpack it.
 *
 *   0x1f1  setup_sects u8    sectors of real-mode code behind the first; 0 means 4
 *   0x1fe  0xaa55
 *   0x202  "HdrS"
 *   0x206  version u16       2.08 and newer say where the payload is
 *   0x248  payload_offset u32, from the protected-mode code on      0x24c  payload_length u32
 *
 * Source: Documentation/x86/boot.rst; the payload's forms: scripts/Makefile.lib (a packed kernel is followed by its
 * unpacked size as u32, but for gzip, where that is the last word of the format itself).
 */
import { gunzipSync } from 'node:zlib';
import { Trouble } from '../../base/trouble.js';

/** Larger than any kernel; what a hostile image can make us allocate. */
const KERNEL_BYTES_MAX = 512 * 2 ** 20;
const HEADER_BYTES = 0x250;
const SECTOR = 512;
const PAYLOAD_SINCE = 0x208;

/** Unpacks to exactly `size` bytes, or throws an Error that says what is wrong. */
type Unpack = (packed: Uint8Array, size: number) => Promise<Uint8Array>;
interface Packing {
  readonly name: string;
  readonly magic: readonly number[];
  readonly unpack?: Unpack;
}
const PACKINGS: readonly Packing[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], unpack: async (packed, size) => gunzipSync(packed, { maxOutputLength: size }) },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], unpack: unpackXz },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], unpack: unpackLz4 },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: unpackZstd },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68] },
  { name: 'lzma', magic: [0x5d, 0, 0] },
  { name: 'lzo', magic: [0x89, 0x4c, 0x5a] },
];
const startsWith = (bytes: Uint8Array, magic: readonly number[]): boolean => magic.every((b, n) => bytes[n] === b);
const ELF = [0x7f, 0x45, 0x4c, 0x46];

/**
 * The ELF image of a kernel, from a bzImage or from itself.
 * @param name for messages: the file
 * @throws Trouble naming the file, what is wrong with it, and what to do
 */
export async function unpackKernel(image: Uint8Array, name: string): Promise<Uint8Array> {
  if (startsWith(image, ELF)) return image;
  const bad = (why: string): never => {
    throw new Trouble(`${name}: ${why}`);
  };
  const payload = payloadOf(image, bad);
  const packing = PACKINGS.find(({ magic }) => startsWith(payload, magic));
  if (!packing) {
    if (startsWith(payload, ELF)) return payload;
    return bad('its payload is packed in a way unknown here; pass the vmlinux it was made from');
  }
  if (!packing.unpack)
    return bad(`its payload is packed with ${packing.name}, which is not supported; pass the vmlinux`);
  if (payload.length < 8) bad('its payload is cut off');
  const size = new DataView(payload.buffer, payload.byteOffset).getUint32(payload.length - 4, true);
  if (size > KERNEL_BYTES_MAX) bad(`its payload says that it unpacks to ${size} bytes, more than any kernel`);
  const packed = packing.name === 'gzip' ? payload : payload.subarray(0, -4);
  let unpacked: Uint8Array;
  try {
    unpacked = await packing.unpack(packed, size);
  } catch (error) {
    return bad(`its ${packing.name} payload is damaged: ${(error as Error).message}`);
  }
  if (unpacked.length !== size)
    bad(`its ${packing.name} payload unpacks to ${unpacked.length} bytes instead of ${size}`);
  if (!startsWith(unpacked, ELF)) bad('its payload is no ELF image');
  return unpacked;
}

function payloadOf(image: Uint8Array, bad: (why: string) => never): Uint8Array {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const isLinux =
    image.length >= HEADER_BYTES &&
    view.getUint16(0x1fe, true) === 0xaa55 &&
    view.getUint32(0x202, false) === 0x48647253;
  if (!isLinux) bad('neither a bzImage nor an ELF image; a kernel for x86 is one of the two');
  const version = view.getUint16(0x206, true);
  if (version < PAYLOAD_SINCE)
    bad(`a bzImage of boot protocol ${version >> 8}.${version & 0xff}, from before Linux 2.6.24; pass the vmlinux`);
  const from = ((image[0x1f1] || 4) + 1) * SECTOR + view.getUint32(0x248, true);
  const length = view.getUint32(0x24c, true);
  if (from + length > image.length)
    bad(`cut off: its payload is at ${from} and has ${length} bytes, the file has ${image.length}`);
  return image.subarray(from, from + length);
}

/** xz with the x86 filter, which is how kernels are packed. Bounded by closing the stream at `size`. */
async function unpackXz(packed: Uint8Array, size: number): Promise<Uint8Array> {
  const { default: lzma } = await import('lzma-native');
  const into = new Uint8Array(size);
  let filled = 0;
  const stream = lzma.createDecompressor();
  stream.end(packed);
  for await (const piece of stream as AsyncIterable<Uint8Array>) {
    if (filled + piece.length > size) throw new Error(`more than the ${size} bytes it promises`);
    into.set(piece, filled);
    filled += piece.length;
  }
  return into.subarray(0, filled);
}
async function unpackZstd(packed: Uint8Array, size: number): Promise<Uint8Array> {
  const { Decompress } = await import('fzstd');
  const into = new Uint8Array(size);
  let filled = 0;
  const stream = new Decompress(piece => {
    if (filled + piece.length > size) throw new Error(`more than the ${size} bytes it promises`);
    into.set(piece, filled);
    filled += piece.length;
  });
  stream.push(packed, true);
  return into.subarray(0, filled);
}
/** The legacy format of lz4: a magic number, then blocks, each behind its packed size as u32. */
async function unpackLz4(packed: Uint8Array, size: number): Promise<Uint8Array> {
  const { default: lz4 } = await import('lz4js');
  const into = new Uint8Array(size);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  let filled = 0;
  for (let at = 4; at < packed.length; ) {
    if (at + 4 > packed.length) throw new Error('cut off in the size of a block');
    const bytes = view.getUint32(at, true);
    if (at + 4 + bytes > packed.length) throw new Error(`a block of ${bytes} bytes is cut off`);
    filled = lz4.decompressBlock(packed.subarray(0, at + 4 + bytes), into, at + 4, bytes, filled);
    if (!(filled <= size)) throw new Error(`more than the ${size} bytes it promises`);
    at += 4 + bytes;
  }
  return into.subarray(0, filled);
}
