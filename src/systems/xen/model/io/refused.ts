/**
 * Calls a domain makes that has no devices and no privileges, and what Xen 4.17 answers it: physdev_op
 * (arch/x86/physdev.c), platform_op (arch/x86/platform_hypercall.c), hvm_op (arch/x86/hvm/hvm.c), xenpmu_op (cpu/vpmu.c).
 */
import { asFrame } from '../../../../base/brand.js';
import { ERRNO } from '../../names.js';
import { failed, type Handler } from '../domain.js';
import type { Xen } from '../xen.js';

const u32 = (value: bigint): number => Number(value & 0xffff_ffffn);
const IOBITMAP_BYTES = 8192;
const PHYSDEV = { setIopl: 6, setIobitmap: 7, eoiMapOld: 17, eoiMap: 28 } as const;

/** physdev_op: interrupts and ports of devices, of which there are none. */
export const physdevOp: Handler<Xen> = (xen, [command, arg]) => {
  switch (u32(command!)) {
    case PHYSDEV.setIopl: {
      const iopl = xen.copyFrom(arg!, 4);
      if (!iopl) return failed(ERRNO.EFAULT);
      const value = new DataView(iopl.buffer, iopl.byteOffset).getUint32(0, true);
      if (value > 3) return failed(ERRNO.EINVAL);
      xen.vcpu.iopl = BigInt(value) << 12n;
      return 0n;
    }
    // struct physdev_set_iobitmap: bitmap, u32 nr_ports. There is no port behind which something is.
    case PHYSDEV.setIobitmap: {
      const words = xen.guest.words(arg!, 2);
      if (!words) return failed(ERRNO.EFAULT);
      return u32(words[1]!) > 8 * IOBITMAP_BYTES ? failed(ERRNO.EINVAL) : 0n;
    }
    case PHYSDEV.eoiMap:
    case PHYSDEV.eoiMapOld:
      return eoiMap(xen, arg!);
  }
  return failed(ERRNO.ENOSYS);
};
/** PHYSDEVOP_pirq_eoi_gmfn: a page Xen would set bits in. It keeps a reference, which is all one sees of it. */
function eoiMap(xen: Xen, arg: bigint): bigint {
  const gfn = xen.guest.word(arg);
  if (gfn === undefined) return failed(ERRNO.EFAULT);
  if (gfn >= BigInt(xen.frames)) return failed(ERRNO.EINVAL);
  const mfn = asFrame(Number(gfn));
  if (!xen.mm.hold(mfn)) return failed(ERRNO.EINVAL);
  if (xen.io.eoiMap !== undefined) {
    xen.mm.letGo(mfn);
    return failed(ERRNO.EBUSY);
  }
  xen.io.eoiMap = mfn;
  return 0n;
}

const PLATFORM_OP_BYTES = 136;
const INTERFACE_VERSION = 0x0300_0000;
/** platform_op: for dom0. struct xen_platform_op: u32 cmd, u32 interface_version. */
export const platformOp: Handler<Xen> = (xen, [arg]) => {
  const op = xen.copyFrom(arg!, PLATFORM_OP_BYTES);
  if (!op) return failed(ERRNO.EFAULT);
  const version = new DataView(op.buffer, op.byteOffset).getUint32(4, true);
  return failed(version === INTERFACE_VERSION ? ERRNO.EPERM : ERRNO.EACCES);
};

const HVM_SET_UPCALL_VECTOR = 23;
/** hvm_op: only one command is asked of PV guests, which are no HVM guests. */
export const hvmOp: Handler<Xen> = (_, [command]) =>
  failed(u32(command!) === HVM_SET_UPCALL_VECTOR ? ERRNO.EINVAL : ERRNO.ENOSYS);

/** xenpmu_op: off, as it is without `vpmu` on Xen's command line. It came with 4.6. */
export const XENPMU_OP = 40;
export const xenpmuOp: Handler<Xen> = ({ generation }) =>
  failed(generation === '4.1' ? ERRNO.ENOSYS : ERRNO.EOPNOTSUPP);
