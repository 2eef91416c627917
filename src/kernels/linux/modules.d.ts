/** The parts we use of libraries that bring no types. */
declare module 'lzma-native' {
  const lzma: { createDecompressor(): NodeJS.ReadWriteStream };
  export default lzma;
}
declare module 'lz4js' {
  const lz4: {
    /** Unpacks a block into `to` from `toIndex` on; returns where it ended, also when that lies beyond `to`. */
    decompressBlock(from: Uint8Array, to: Uint8Array, fromIndex: number, bytes: number, toIndex: number): number;
  };
  export default lz4;
}
