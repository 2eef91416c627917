import { gzipSync } from 'node:zlib';
import lz4 from 'lz4js';
import lzma from 'lzma-native';
import { describe, expect, it, test } from 'vitest';
import { Trouble } from '../../../src/base/trouble.js';
import { unpackKernel } from '../../../src/kernels/linux/image.js';

/** What a kernel is packed from: something that begins like an ELF image, with both text and noise in it. */
const vmlinux = Buffer.concat([
  Buffer.from('\x7fELF', 'latin1'),
  Buffer.from('call 0x1000; '.repeat(500)),
  Buffer.from(Array.from({ length: 3000 }, (_, n) => (n * n * 31) & 0xff)),
]);

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const sized = (packed: Uint8Array): Buffer => Buffer.concat([packed, u32(vmlinux.length)]);

/** Boot sector, one sector of real-mode code, 100 bytes of decompressor, the payload. */
function bzImage(payload: Uint8Array, { version = 0x20f, length = payload.length } = {}): Buffer {
  const head = Buffer.alloc(1024 + 100);
  head[0x1f1] = 1;
  head.writeUInt16LE(0xaa55, 0x1fe);
  head.write('HdrS', 0x202, 'latin1');
  head.writeUInt16LE(version, 0x206);
  head.writeUInt32LE(100, 0x248);
  head.writeUInt32LE(length, 0x24c);
  return Buffer.concat([head, payload]);
}

async function packXz(): Promise<Buffer> {
  const stream = lzma.createStream('streamEncoder', {
    filters: [{ id: lzma.FILTER_X86 }, { id: lzma.FILTER_LZMA2 }],
    check: lzma.CHECK_CRC32,
  });
  stream.end(vmlinux);
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
function packLz4(): Buffer {
  const block = Buffer.alloc(lz4.compressBound(vmlinux.length));
  const bytes = lz4.compressBlock(vmlinux, block, 0, vmlinux.length, new Uint32Array(65536));
  return Buffer.concat([u32(0x184c2102), u32(bytes), block.subarray(0, bytes)]);
}
/** A zstd frame of one raw block (RFC 8878, 3.1.1): size in two bytes less 256, no checksum. */
function packZstd(): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16LE(vmlinux.length - 256);
  const block = u32((vmlinux.length << 3) | 1).subarray(0, 3);
  return Buffer.concat([u32(0xfd2fb528), Buffer.from([0x60]), size, block, vmlinux]);
}
const PAYLOADS: Readonly<Record<string, () => Buffer | Promise<Buffer>>> = {
  gzip: () => gzipSync(vmlinux),
  'xz with the x86 filter': async () => sized(await packXz()),
  lz4: () => sized(packLz4()),
  zstd: () => sized(packZstd()),
};

const refusal = async (image: Uint8Array): Promise<string> => {
  const error = await unpackKernel(image, 'vmlinuz').then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Trouble);
  return (error as Trouble).message;
};

describe('a kernel image', () => {
  test.for(Object.keys(PAYLOADS))('packed with %s is unpacked', async name => {
    const unpacked = await unpackKernel(bzImage(await PAYLOADS[name]!()), 'vmlinuz');
    expect(Buffer.compare(unpacked, vmlinux)).toBe(0);
  });
  it('that is an ELF image is taken as it is, also as a payload', async () => {
    expect(await unpackKernel(vmlinux, 'vmlinux')).toBe(vmlinux);
    expect(Buffer.compare(await unpackKernel(bzImage(vmlinux), 'vmlinuz'), vmlinux)).toBe(0);
  });
  test.for(Object.keys(PAYLOADS))('packed with %s and damaged is refused by name, never guessed', async name => {
    const payload = await PAYLOADS[name]!();
    for (const at of [20, 40, Math.floor(payload.length / 2), payload.length - 12]) {
      const torn = Buffer.from(payload);
      torn[at]! ^= 0x55;
      const image = bzImage(torn);
      const result = await unpackKernel(image, 'vmlinuz').catch((e: unknown) => e);
      if (result instanceof Error) expect(result.message).toMatch(/^vmlinuz: .*payload/);
      else expect((result as Uint8Array).length).toBe(vmlinux.length); // lz4 and raw zstd carry no checksum
    }
    const size = Buffer.from(payload);
    size.writeUInt32LE(vmlinux.length - 1000, payload.length - 4);
    expect(await refusal(bzImage(size))).toMatch(/^vmlinuz: its .* payload (is damaged|unpacks to)/);
  });
  it('of another kind, cut off, too old or too large gets one line that says so', async () => {
    expect(await refusal(Buffer.alloc(4096))).toBe(
      'vmlinuz: neither a bzImage nor an ELF image; a kernel for x86 is one of the two',
    );
    expect(await refusal(Buffer.from('MZ'))).toMatch('neither a bzImage nor an ELF image');
    expect(await refusal(bzImage(vmlinux).subarray(0, 3000))).toMatch(
      /^vmlinuz: cut off: its payload is at 1124 and has/,
    );
    expect(await refusal(bzImage(vmlinux, { version: 0x207 }))).toMatch('boot protocol 2.7');
    expect(await refusal(bzImage(Buffer.from('BZh91AY')))).toMatch('packed with bzip2, which is not supported');
    expect(await refusal(bzImage(Buffer.from('something else entirely')))).toMatch('packed in a way unknown here');
    expect(await refusal(bzImage(Buffer.concat([packLz4(), u32(0xffff_ffff)])))).toMatch(
      '4294967295 bytes, more than any',
    );
  });
});
