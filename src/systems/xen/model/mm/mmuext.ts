/** mmuext_op: pins, base pointers, flushes and the rest (mm.c, do_mmuext_op). A command is a function in a table. */
import { asPaddr, type Frame, PAGE_BYTES } from '../../../../base/brand.js';
import { BATCH, CLASS, ERRNO, type FrameType, MMUEXT, TYPE } from '../../names.js';
import type { Handler } from '../domain.js';
import { carryOutArray, pageOwner } from './call.js';
import { type Core, ERESTART, type Rc } from './core.js';
import { isGuestAddress } from './entries.js';
import { FLAG } from './frames.js';
import { showM2p } from './promote.js';
import { DOMID, getPage, getPageAndType, getType, putPage, putPageAndType, putTable } from './references.js';
import { dropLdt, setLdt } from './segments.js';
import { flushOne, isInMask } from './update.js';

interface Operation {
  readonly core: Core;
  readonly arg1: bigint;
  readonly arg2: bigint;
}
type Command = (op: Operation) => Rc;
const REQUEST_BYTES = 24;

const flushLocal: Command = ({ core }) => {
  core.flushAll();
  return 0;
};
/** The page of an address, if a guest may use it. */
const flushAddress: Command = ({ core, arg1 }) => {
  if (isGuestAddress(arg1)) flushOne(core, arg1);
  return 0;
};
/** For the vcpus in a mask, of which there is one. */
const forMask =
  (command: Command): Command =>
  op => {
    const here = isInMask(op.core, op.arg2);
    if (here === undefined) return -ERRNO.EINVAL;
    return here ? command(op) : 0;
  };

/** What a command does for the caller itself. */
const COMMANDS: Readonly<Record<number, Command>> = {
  [MMUEXT.pin_l1_table]: op => pin(op.core, op.arg1, TYPE.l1),
  [MMUEXT.pin_l2_table]: op => pin(op.core, op.arg1, TYPE.l2),
  [MMUEXT.pin_l3_table]: op => pin(op.core, op.arg1, TYPE.l3),
  [MMUEXT.pin_l4_table]: op => pin(op.core, op.arg1, TYPE.l4),
  [MMUEXT.unpin_table]: op => unpin(op.core, op.arg1),
  [MMUEXT.new_baseptr]: op => newBaseptr(op.core, op.arg1),
  [MMUEXT.new_user_baseptr]: op => newUserBaseptr(op.core, op.arg1),
  [MMUEXT.tlb_flush_local]: flushLocal,
  [MMUEXT.invlpg_local]: ({ core, arg1 }) => {
    flushOne(core, arg1);
    return 0;
  },
  [MMUEXT.tlb_flush_multi]: forMask(flushLocal),
  [MMUEXT.invlpg_multi]: forMask(flushAddress),
  [MMUEXT.tlb_flush_all]: flushLocal,
  [MMUEXT.invlpg_all]: flushAddress,
  // cache_flush_permitted: only with a device, of which there is none.
  [MMUEXT.flush_cache]: ({ core }) => {
    core.say('flushCache');
    return -ERRNO.EACCES;
  },
  [MMUEXT.flush_cache_global]: ({ core }) => {
    core.say('flushCacheGlobal');
    return -ERRNO.EINVAL;
  },
  [MMUEXT.set_ldt]: ({ core, arg1, arg2 }) => setLdt(core, arg1, Number(arg2 & 0xffff_ffffn)),
  [MMUEXT.clear_page]: ({ core, arg1 }) => clearPage(core, arg1),
  [MMUEXT.copy_page]: ({ core, arg1, arg2 }) => copyPage(core, arg1, arg2),
  [MMUEXT.mark_super]: () => -ERRNO.EOPNOTSUPP,
  [MMUEXT.unmark_super]: () => -ERRNO.EOPNOTSUPP,
};

/** do_mmuext_op. */
export const mmuextOp =
  (core: Core): Handler =>
  (_, args) =>
    carryOutArray(core, args, {
      bytes: REQUEST_BYTES,
      style: BATCH.mmuext_op,
      class: CLASS.mmuext,
      unreadable: 'copyMmuext',
      prepare(foreign) {
        const owner = pageOwner(core, foreign & 0xffff);
        if (owner === undefined) return -ERRNO.ESRCH;
        return owner === DOMID.self ? 0 : -ERRNO.EPERM; // xsm_mmuext_op
      },
      read: request => ({
        number: request.getUint32(0, true),
        args: [request.getBigUint64(8, true), request.getBigUint64(16, true)],
      }),
      carryOut(number, [arg1, arg2]) {
        const command = COMMANDS[number];
        if (command) return command({ core, arg1, arg2 });
        core.say('unknownMmuext', number);
        return -ERRNO.ENOSYS;
      },
    });

/** MMUEXT_PIN_L?_TABLE: the guest holds one reference of the type, until it unpins. */
export function pin(core: Core, arg: bigint, type: FrameType): Rc {
  const { frames } = core;
  const mfn = Number(arg);
  const old = core.domain.generation === '4.1';
  if (!frames.exists(mfn) || !getPage(core, mfn)) {
    if (old) {
      core.say('noRef', arg);
      core.say('pinning', -ERRNO.EINVAL, arg);
    }
    return -ERRNO.EINVAL;
  }
  const rc = getType(core, mfn, type);
  if (rc !== 0) {
    if (rc !== ERESTART) core.say('pinning', rc, mfn);
    if (core.pending?.mfn !== mfn) putPage(core, mfn);
    return rc;
  }
  if (!frames.has(mfn, FLAG.pinned)) {
    frames.setFlag(mfn, FLAG.pinned, true);
    return 0;
  }
  core.say('alreadyPinned', mfn);
  if (type === TYPE.l1) putPageAndType(core, mfn);
  else core.pending = { mfn, parent: -1, partial: false, cause: core.cause };
  return -ERRNO.EINVAL;
}

/** MMUEXT_UNPIN_TABLE. */
function unpin(core: Core, arg: bigint): Rc {
  const { frames, domain } = core;
  const mfn = Number(arg);
  if (!frames.exists(mfn) || !getPage(core, mfn)) {
    core.say('unpinOwner', arg, domain.id);
    return -ERRNO.EINVAL;
  }
  let rc: Rc = 0;
  if (frames.has(mfn, FLAG.pinned)) {
    frames.setFlag(mfn, FLAG.pinned, false);
    putTable(core, mfn); // what is left of it stays pending
  } else {
    core.say('notPinned', mfn);
    rc = -ERRNO.EINVAL;
  }
  putPage(core, mfn);
  return rc;
}

/** new_guest_cr3: MMUEXT_NEW_BASEPTR, and the guest's writes to cr3. */
export function newBaseptr(core: Core, arg: bigint): Rc {
  const { domain } = core;
  const mfn = Number(arg);
  const old = domain.kernelRoot;
  if (old === mfn) {
    core.loadRoots();
    return 0;
  }
  const rc = getRoot(core, arg);
  if (rc !== 0) {
    if (rc !== ERESTART) core.say('baseptr', arg);
    return rc;
  }
  dropLdt(core); // whose addresses now mean something else
  if (!domain.m2pStrict) showM2p(core, mfn as Frame, true);
  domain.kernelRoot = mfn as Frame;
  core.loadRoots();
  return old === 0 ? 0 : putTable(core, old);
}
/** MMUEXT_NEW_USER_BASEPTR. 0 for none. */
function newUserBaseptr(core: Core, arg: bigint): Rc {
  const { domain } = core;
  const mfn = Number(arg);
  const old = domain.userRoot;
  if (old === mfn) return 0;
  if (mfn !== 0) {
    const rc = getRoot(core, arg);
    if (rc !== 0) {
      if (rc !== ERESTART) core.say('userBaseptr', rc, arg);
      return rc;
    }
    if (domain.m2pStrict) showM2p(core, mfn as Frame, false);
  }
  domain.userRoot = mfn as Frame;
  domain.userRootChanged();
  return old === 0 ? 0 : putTable(core, old);
}
/** One more reference to a root table. Arguments are wider than any frame number. */
function getRoot(core: Core, arg: bigint): Rc {
  if (core.frames.exists(Number(arg))) return getPageAndType(core, Number(arg), TYPE.l4);
  core.say('noRef', arg);
  return -ERRNO.EINVAL;
}

/** MMUEXT_CLEAR_PAGE: also for pages the guest has nowhere mapped. */
function clearPage(core: Core, arg: bigint): Rc {
  const mfn = Number(arg);
  if (!getWritable(core, mfn)) {
    core.say('clearing', arg);
    return -ERRNO.EINVAL;
  }
  core.memory.hostWrite(asPaddr(mfn * PAGE_BYTES), new Uint8Array(PAGE_BYTES));
  putPageAndType(core, mfn);
  return 0;
}
/** MMUEXT_COPY_PAGE. */
function copyPage(core: Core, arg1: bigint, arg2: bigint): Rc {
  const [to, from] = [Number(arg1), Number(arg2)];
  if (!core.frames.exists(from) || !getPage(core, from)) {
    core.say('copyingFrom', arg2);
    return -ERRNO.EINVAL;
  }
  const isFit = getWritable(core, to);
  if (isFit) {
    core.memory.hostWrite(
      asPaddr(to * PAGE_BYTES),
      core.memory.guest.slice(from * PAGE_BYTES, (from + 1) * PAGE_BYTES),
    );
    putPageAndType(core, to);
  } else core.say('copyingTo', arg1);
  putPage(core, from);
  return isFit ? 0 : -ERRNO.EINVAL;
}
function getWritable(core: Core, mfn: number): mfn is Frame {
  if (!core.frames.exists(mfn) || !getPage(core, mfn)) return false;
  if (getType(core, mfn, TYPE.writable) === 0) return true;
  putPage(core, mfn);
  return false;
}
