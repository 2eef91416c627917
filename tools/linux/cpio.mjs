// An initramfs: a cpio archive in the "newc" form (Documentation/driver-api/early-userspace/buffer-format.rst). A header is
// "070701" and thirteen numbers of eight hexadecimal digits; header with name, and data, are each filled up to four bytes.
// The same files give the same bytes: no times, no owners, inode numbers by order.

const DIR = 0o040755;
const FILE = 0o100755;
const LINK = 0o120777;
const CHARACTER_DEVICE = 0o020600;

const pad4 = bytes => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);

function entry(inode, { name, mode, data = Buffer.alloc(0), device = [0, 0] }) {
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, name.length + 1, 0];
  const head = `070701${fields.map(n => n.toString(16).toUpperCase().padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([pad4(Buffer.from(head, 'latin1')), pad4(data)]);
}

export const dir = name => ({ name, mode: DIR });
export const file = (name, data) => ({ name, mode: FILE, data: Buffer.from(data) });
export const link = (name, to) => ({ name, mode: LINK, data: Buffer.from(to) });
export const device = (name, major, minor) => ({ name, mode: CHARACTER_DEVICE, device: [major, minor] });

/** The archive of `entries`, in their order. */
export function cpio(entries) {
  const all = [...entries, { name: 'TRAILER!!!', mode: 0 }];
  const archive = Buffer.concat(all.map((e, n) => entry(n === all.length - 1 ? 0 : n + 1, e)));
  return Buffer.concat([archive, Buffer.alloc((512 - (archive.length % 512)) % 512)]);
}
