/**
 * The grant table, as far as a domain alone can use it (common/grant_table.c): frames of Xen's that hold its entries, which
 * it maps and fills. Nobody else is there to use what it grants, and nobody grants it anything, so requests that name
 * another domain, or a mapping, answer the error Xen has for what does not exist.
 *
 * The table is of version 1 only, as under `gnttab=max-ver:1`. A domain of less than 32 MiB has no frames for it.
 */
import { asFrame } from '../../../../base/brand.js';
import { ERRNO } from '../../names.js';
import { type Answer, failed, type Handler } from '../domain.js';
import type { Xen } from '../xen.js';

/** Plain data, kept with checkpoints. */
export interface Grants {
  /** Frames the table has now. */
  frames: number;
}
const INITIAL_FRAMES = 1;
const VERSION = 1;
const DOMID_SELF = 0x7ff0;

/** enum grant_status. */
const STATUS = {
  okay: 0,
  general: -1,
  badDomain: -2,
  badGrant: -3,
  badHandle: -4,
  badAddress: -5,
  badPage: -9,
} as const;
const OP = {
  map: 0,
  unmap: 1,
  setupTable: 2,
  transfer: 4,
  copy: 5,
  querySize: 6,
  unmapAndReplace: 7,
  setVersion: 8,
  getStatusFrames: 9,
  getVersion: 10,
  swap: 11,
} as const;
const MAP_SOMEHOW = 3; // GNTMAP_device_map, GNTMAP_host_map

const isSelf = (xen: Xen, domain: number): boolean => domain === DOMID_SELF || domain === xen.id;
const tableOf = (xen: Xen): Grants => (xen.io.grants ??= { frames: grow(xen, 0, Math.min(INITIAL_FRAMES, max(xen))) });
const max = ({ layout }: Xen): number => layout.grantFrames;
function grow(xen: Xen, from: number, to: number): number {
  for (let n = from; n < to; n++) xen.mm.share(asFrame(xen.layout.grants + n), true);
  return to;
}

/** A request for itself: its structure goes back as it became. A number above zero is an errno. */
interface Single {
  readonly bytes: number;
  run(xen: Xen, args: DataView): number;
}
const SINGLE: Readonly<Record<number, Single>> = {
  // u16 dom, u32 nr_frames at 4, s16 status at 8, frame_list at 16
  [OP.setupTable]: {
    bytes: 24,
    run(xen, args) {
      const count = args.getUint32(4, true);
      const answer = (status: number): number => {
        args.setInt16(8, status, true);
        return 0;
      };
      if (!isSelf(xen, args.getUint16(0, true))) return answer(STATUS.badDomain);
      if (count > max(xen)) return answer(STATUS.general);
      const table = tableOf(xen);
      table.frames = grow(xen, table.frames, Math.max(table.frames, count));
      const list = args.getBigUint64(16, true);
      let status: number = STATUS.okay;
      for (let n = 0; n < count; n++)
        if (!xen.guest.putWord(BigInt.asUintN(64, list + BigInt(8 * n)), BigInt(xen.layout.grants + n)))
          status = STATUS.badAddress;
      return answer(status);
    },
  },
  // u16 dom, u32 nr_frames at 4, u32 max_nr_frames at 8, s16 status at 12
  [OP.querySize]: {
    bytes: 16,
    run(xen, args) {
      const self = isSelf(xen, args.getUint16(0, true));
      if (self) {
        args.setUint32(4, tableOf(xen).frames, true);
        args.setUint32(8, max(xen), true);
      }
      args.setInt16(12, self ? STATUS.okay : STATUS.badDomain, true);
      return 0;
    },
  },
  // u32 nr_frames, u16 dom at 4, s16 status at 6: a table of version 1 has no status frames
  [OP.getStatusFrames]: {
    bytes: 16,
    run(xen, args) {
      const none = args.getUint32(0, true) === 0 ? STATUS.okay : STATUS.general;
      args.setInt16(6, isSelf(xen, args.getUint16(4, true)) ? none : STATUS.badDomain, true);
      return 0;
    },
  },
  // u16 dom, u32 version at 4
  [OP.getVersion]: {
    bytes: 8,
    run(xen, args) {
      if (!isSelf(xen, args.getUint16(0, true))) return ERRNO.ESRCH;
      args.setUint32(4, VERSION, true);
      return 0;
    },
  },
};

/** A request that comes in numbers: each answers in its own status. */
interface Each {
  readonly bytes: number;
  /** Offset of its status. */
  readonly status: number;
  run(xen: Xen, args: DataView): number;
}
const EACH: Readonly<Record<number, Each>> = {
  [OP.map]: {
    bytes: 32,
    status: 18,
    run(xen, args) {
      if ((args.getUint32(8, true) & MAP_SOMEHOW) === 0) return STATUS.badGrant;
      // In life a domain may map what it granted to itself; nobody does, and here that is refused.
      return args.getUint16(16, true) === xen.id ? STATUS.general : STATUS.badDomain;
    },
  },
  [OP.unmap]: { bytes: 24, status: 20, run: () => STATUS.badHandle }, // nothing was ever mapped
  [OP.unmapAndReplace]: { bytes: 24, status: 20, run: () => STATUS.badHandle },
  [OP.transfer]: { bytes: 24, status: 16, run: () => STATUS.badDomain },
  [OP.copy]: { bytes: 40, status: 36, run: () => STATUS.badDomain },
  [OP.swap]: { bytes: 12, status: 8, run: () => STATUS.badGrant },
};
/** Requests in one piece of a call. */
const PIECE = 256;

const inOrder: (each: Each) => Handler<Xen> =
  ({ bytes, status, run }) =>
  (xen, [command, list, given]): Answer => {
    const count = Number(given! & 0xffff_ffffn);
    const piece = Math.min(count, PIECE);
    for (let n = 0; n < piece; n++) {
      const at = BigInt.asUintN(64, list! + BigInt(bytes * n));
      const data = xen.copyFrom(at, bytes);
      if (!data) return failed(ERRNO.EFAULT);
      const args = new DataView(data.buffer, data.byteOffset, bytes);
      args.setInt16(status, run(xen, args), true);
      if (!xen.copyTo(at, data)) return failed(ERRNO.EFAULT);
    }
    if (piece === count) return 0n;
    return { again: [command!, BigInt.asUintN(64, list! + BigInt(bytes * piece)), BigInt(count - piece)] };
  };

/** gnttab_set_version: u32 version, in and out. The one there is, or an error. */
function setVersion(xen: Xen, at: bigint): bigint {
  const data = xen.copyFrom(at, 4);
  if (!data) return failed(ERRNO.EFAULT);
  const args = new DataView(data.buffer, data.byteOffset, 4);
  const asked = args.getUint32(0, true);
  args.setUint32(0, VERSION, true);
  if (!xen.copyTo(at, data)) return failed(ERRNO.EFAULT);
  if (asked === VERSION) return 0n;
  return failed(asked === 2 ? ERRNO.ENOSYS : ERRNO.EINVAL);
}

/** do_grant_table_op(cmd, uop, count). */
export const grantTableOp: Handler<Xen> = (xen, args) => {
  const [command, at, given] = args as [bigint, bigint, bigint];
  const [op, count] = [Number(command & 0xffff_ffffn), Number(given & 0xffff_ffffn)];
  if (count > 0x7fff_ffff) return failed(ERRNO.EINVAL);
  if (op === OP.setVersion) return setVersion(xen, at);
  const each = EACH[op];
  if (each) return inOrder(each)(xen, args);
  const single = SINGLE[op];
  if (!single) return failed(op > 0xfffff ? ERRNO.EINVAL : ERRNO.ENOSYS); // GNTTABOP_ARG_MASK
  if (op !== OP.getVersion && count !== 1) return failed(ERRNO.EINVAL);
  const data = xen.copyFrom(at, single.bytes);
  if (!data) return failed(ERRNO.EFAULT);
  const errno = single.run(xen, new DataView(data.buffer, data.byteOffset, single.bytes));
  if (errno !== 0) return failed(errno);
  return xen.copyTo(at, data) ? 0n : failed(ERRNO.EFAULT);
};
