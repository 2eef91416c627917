/** The rare instructions, in TypeScript (see semantics.ts, 2): where each is, and those that only fault. */
import { CPUID_FAMILY } from './cpuid.js';
import { VECTOR } from './fault.js';
import { FX_FAMILY } from './fx-image.js';
import { MMX_FAMILY } from './mmx.js';
import { MSR } from './msr.js';
import { PORTS } from './ports.js';
import { SEGMENT } from './segments.js';
import { type Family, GuestFault, type SystemOp } from './semantics.js';
import { SSE_SYSTEM } from './sse-system.js';
import { CONTROL_FAMILY, invalid } from './system-control.js';
import { TRANSFER } from './system-transfer.js';
import { VECTOR_FAMILY } from './vector.js';
import { X87_FAMILY } from './x87.js';
import { X87_CONTROL_FAMILY } from './x87-control.js';

const raises = (op: string, fault: () => GuestFault): SystemOp => ({
  op,
  run: () => {
    throw fault();
  },
});
const undefinedOpcode = (): GuestFault => new GuestFault(VECTOR.invalidOpcode);

/** Invalid opcodes here: cpuid does not have their feature, or they need a mode that there is not. */
const ABSENT = `
  ud0 ud1 ud2 rsm sysenter sysexit monitor mwait vmcall vmmcall clac stac rdpkru wrpkru xgetbv xsetbv
  xsave xrstor xsaveopt xsavec xsaves xrstors rdfsbase rdgsbase wrfsbase wrgsbase rdpid rdrand rdseed
  clwb clflushopt fisttp`
  .trim()
  .split(/\s+/);

const FAULTING: Family = {
  system: [
    raises('(bad)', undefinedOpcode),
    raises('(too long)', invalid),
    ...ABSENT.map(op => raises(op, undefinedOpcode)),
    // No performance counter exists (SDM 2B, RDPMC).
    raises('rdpmc', invalid),
  ],
};

export const SYSTEM: Family = {
  system: [
    FAULTING,
    CONTROL_FAMILY,
    SEGMENT,
    MSR,
    CPUID_FAMILY,
    PORTS,
    TRANSFER,
    FX_FAMILY,
    VECTOR_FAMILY,
    SSE_SYSTEM,
    MMX_FAMILY,
    X87_FAMILY,
    X87_CONTROL_FAMILY,
  ].flatMap(family => family.system ?? []),
};
