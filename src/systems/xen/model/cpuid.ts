/**
 * What Xen tells a PV kernel about the processor: the features it lets a PV guest use, and its own leaves from 0x40000000
 * on. Source: arch/x86/cpuid.c (guest_cpuid, cpuid_hypervisor_leaves), public/arch-x86/cpuid.h and cpufeatureset.h. User
 * code sees the real processor, since ring 3 executes cpuid by itself.
 */
import { CPUID, type CpuidAnswer, FEATURES } from '../../../machine/x86/cpuid.js';
import { VERSION } from './version.js';
import type { Xen } from './xen.js';

const XEN_LEAVES = 0x4000_0000;
/** Of the basic leaf, not for PV guests: they need a page-table format, or a register, that is Xen's own. */
const HIDDEN_BASIC = (1 << FEATURES.basic.pse) | (1 << FEATURES.basic.pge);
const HIDDEN_EXTENDED = 1 << FEATURES.extended.pdpe1gb;
const HYPERVISOR = 1 << 31;
const SIGNATURE = ['XenV', 'MMXe', 'nVMM'];
const word = (text: string): number => [...text].reduceRight((value, c) => (value << 8) | c.charCodeAt(0), 0) >>> 0;

/** The answer to a kernel that asks with the prefix. */
export function cpuidOf(xen: Xen, leaf: number, subleaf: number): CpuidAnswer {
  const [eax, ebx, ecx, edx] = CPUID(leaf, subleaf);
  switch (leaf) {
    case 1:
      return [eax, ebx, (ecx | HYPERVISOR) >>> 0, (edx & ~HIDDEN_BASIC) >>> 0];
    case 0x8000_0001:
      return [eax, ebx, ecx, (edx & ~HIDDEN_EXTENDED) >>> 0];
    case XEN_LEAVES: {
      const [b, c, d] = SIGNATURE.map(word) as [number, number, number];
      return [XEN_LEAVES + 2, b, c, d];
    }
    case XEN_LEAVES + 1:
      return [VERSION[xen.generation], 0, 0, 0];
    case XEN_LEAVES + 2:
      // One hypercall page, by a write to MSR 0x40000000; page-table updates that keep accessed and dirty bits.
      return [1, XEN_LEAVES, 1, 0];
  }
  return [eax, ebx, ecx, edx];
}
