/** The .text section of a 64-bit ELF file: real code for decoders to be right about. */
import { existsSync, readFileSync } from 'node:fs';

/** @returns the bytes, or why there are none. */
export function textOf(file: string): Uint8Array | string {
  if (!existsSync(file)) return `${file} is not there`;
  const data = readFileSync(file);
  if (data.toString('latin1', 0, 4) !== '\x7fELF' || data[4] !== 2) return `${file} is no 64-bit ELF file`;
  if (data.readUInt16LE(18) !== 62) return `${file} is not for x86-64`;
  const table = Number(data.readBigUInt64LE(40));
  const entryBytes = data.readUInt16LE(58);
  const section = (n: number) => {
    const at = table + n * entryBytes;
    return {
      name: data.readUInt32LE(at),
      offset: Number(data.readBigUInt64LE(at + 24)),
      size: Number(data.readBigUInt64LE(at + 32)),
    };
  };
  const names = section(data.readUInt16LE(62)).offset;
  for (let n = 0; n < data.readUInt16LE(60); n++) {
    const { name, offset, size } = section(n);
    if (data.toString('latin1', names + name, names + name + 6) === '.text\0')
      return data.subarray(offset, offset + size);
  }
  return `${file} has no .text`;
}
