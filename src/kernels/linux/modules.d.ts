/** The parts we use of libraries that bring no types; those for packing in tests only. */
declare module 'lzma-native' {
  const lzma: {
    createDecompressor(): NodeJS.ReadWriteStream;
    createStream(coder: string, options: object): NodeJS.ReadWriteStream;
    readonly FILTER_X86: string;
    readonly FILTER_LZMA2: string;
    readonly CHECK_CRC32: number;
  };
  export default lzma;
}
declare module 'lz4js' {
  const lz4: {
    /** Unpacks a block into `to` from `toIndex` on; returns where it ended, also when that lies beyond `to`. */
    decompressBlock(from: Uint8Array, to: Uint8Array, fromIndex: number, bytes: number, toIndex: number): number;
    compressBound(bytes: number): number;
    compressBlock(from: Uint8Array, to: Uint8Array, fromIndex: number, bytes: number, table: Uint32Array): number;
  };
  export default lz4;
}
