/** xen_version: who this Xen is (common/kernel.c, do_xen_version). */
import { PAGE_BYTES } from '../../../base/brand.js';
import { ERRNO } from '../names.js';
import { failed, type Handler } from './domain.js';
import { XEN_FROM } from './layout.js';
import { assists } from './vcpu.js';
import type { Xen } from './xen.js';

export const VERSION = { '4.1': 0x4_0001, '4.17': 0x4_0011 } as const;
const SUBOP = {
  version: 0,
  extraversion: 1,
  compileInfo: 2,
  capabilities: 3,
  changeset: 4,
  platformParameters: 5,
  getFeatures: 6,
  pagesize: 7,
  guestHandle: 8,
  commandline: 9,
  buildId: 10,
} as const;
/** Features: bits 5, 6, 7, 13 and 17 in 4.17, with bit 4 for who takes a top table above 4 GiB. Never writable tables. */
const FEATURES = { '4.1': 0xe0n, '4.17': 0x2_20e0n } as const;
const PGDIR_ABOVE_4GB = 1n << 4n;

/** A text in a field of the interface's size. */
const field = (bytes: number, text: string): Uint8Array => {
  const out = new Uint8Array(bytes);
  out.set(Buffer.from(text, 'latin1').subarray(0, bytes - 1));
  return out;
};
const word = (value: bigint): Uint8Array => {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value, true);
  return out;
};
/** Texts a guest that is not privileged may not see. */
const DENIED = '<denied>';

type Answers = (xen: Xen) => Uint8Array;
const TEXTS: Readonly<Record<number, Answers>> = {
  [SUBOP.extraversion]: () => field(16, '.0'),
  [SUBOP.compileInfo]: () =>
    Buffer.concat([field(64, DENIED), field(16, DENIED), field(32, DENIED), field(32, DENIED)]),
  [SUBOP.capabilities]: ({ generation }) => field(1024, generation === '4.1' ? 'xen-3.0-x86_64 ' : 'xen-3.0-x86_64'),
  [SUBOP.changeset]: () => field(64, DENIED),
  [SUBOP.platformParameters]: () => word(XEN_FROM),
  [SUBOP.guestHandle]: () => new Uint8Array(16),
  [SUBOP.commandline]: () => field(1024, DENIED),
};

export const xenVersion: Handler<Xen> = (xen, [command, arg = 0n]) => {
  switch (Number(command! & 0xffff_ffffn)) {
    case SUBOP.version:
      return BigInt(VERSION[xen.generation]);
    case SUBOP.pagesize:
      return arg === 0n ? BigInt(PAGE_BYTES) : failed(ERRNO.EINVAL);
    case SUBOP.getFeatures:
      return features(xen, arg);
    case SUBOP.buildId:
      return failed(ERRNO.EPERM);
  }
  const text = TEXTS[Number(command! & 0xffff_ffffn)];
  if (!text) return failed(ERRNO.ENOSYS);
  return xen.copyTo(arg, text(xen)) ? 0n : failed(ERRNO.EFAULT);
};
/** struct xen_feature_info: u32 submap_idx, u32 submap. */
function features(xen: Xen, arg: bigint): bigint {
  const asked = xen.guest.word(arg);
  if (asked === undefined) return failed(ERRNO.EFAULT);
  if (asked & 0xffff_ffffn) return failed(ERRNO.EINVAL);
  const submap = FEATURES[xen.generation] | (assists(xen.vcpu, 'paeExtendedCr3') ? PGDIR_ABOVE_4GB : 0n);
  return xen.guest.putWord(arg, submap << 32n) ? 0n : failed(ERRNO.EFAULT);
}
