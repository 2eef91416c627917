/** ELF images made in a test: code in hex at 1 MiB, where it starts, and whatever else memory should hold. */

/** @param parts bytes by physical address; the image starts at 0x10_0000 */
export function imageOf(parts: Readonly<Record<number, Uint8Array>>): Uint8Array {
  const segments = Object.entries(parts).map(([at, data]) => ({ at: BigInt(at), data }));
  const head = 64 + 56 * segments.length;
  const file = new Uint8Array(head + segments.reduce((sum, { data }) => sum + data.length, 0));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // x86-64
  view.setBigUint64(24, 0x10_0000n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  let offset = head;
  segments.forEach(({ at, data }, n) => {
    const entry = 64 + 56 * n;
    view.setUint32(entry, 1, true); // PT_LOAD
    view.setUint32(entry + 4, 7, true);
    for (const [field, value] of [offset, at, at, data.length, data.length].entries())
      view.setBigUint64(entry + 8 + 8 * field, BigInt(value), true);
    file.set(data, offset);
    offset += data.length;
  });
  return file;
}

/** An interrupt table of 256 gates in ring 0, by vector: where each handler is. SDM 3A, figure 6-8. */
export function idtOf(handlers: Readonly<Record<number, number>>): Uint8Array {
  const table = new DataView(new ArrayBuffer(4096));
  for (const [vector, at] of Object.entries(handlers)) {
    const low = BigInt(at & 0xffff) | (0x08n << 16n) | (0x8en << 40n) | (BigInt(at >>> 16) << 48n);
    table.setBigUint64(16 * Number(vector), low, true);
  }
  return new Uint8Array(table.buffer);
}
