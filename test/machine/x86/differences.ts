/** Where our decoder and iced-x86 may disagree, and why. Whatever is not here is an error of one of them. */
import { CpuidFeature, type Instruction } from 'iced-x86';

/**
 * Instruction set extensions that we call (bad): CPUID says that they are missing, and #UD is what the processor raises
 * then. iced decodes all of them. (VEX, EVEX and XOP encodings are the same case, and never get here.)
 */
const MISSING: readonly (readonly [features: string, reason: string])[] = [
  ['SSE3 SSSE3 SSE4_1 SSE4_2 SSE4A', 'vector instructions after SSE2'],
  ['AES PCLMULQDQ SHA GFNI AESKLE KL WIDE_KL', 'cryptography'],
  ['MOVBE ADX MOVDIRI MOVDIR64B ENQCMD ENQCMDS RAO_INT CMPCCXADD PREFETCHITI', 'integer instructions in 0f 38'],
  ['D3NOW D3NOWEXT', '3DNow!'],
  ['VMX INVEPT INVVPID SVM SKINIT SKINIT_or_SVM SMX TDX', 'virtualisation by hardware'],
  ['SEV_ES SEV_SNP RMPQUERY INVLPGB MCOMMIT CLZERO RDPRU MONITORX', 'newer system instructions of AMD'],
  ['SGX1 OSS PTWRITE PCONFIG TSE WRMSRNS MSRLIST LKGS FRED UINTR SERIALIZE INVPCID', 'newer ones of Intel'],
  ['CET_SS', 'shadow stacks'],
  ['RTM HLE_or_RTM TSXLDTRK WAITPKG', 'transactional memory, user-mode waiting'],
  ['PADLOCK_RNG PADLOCK_ACE PADLOCK_PHE PADLOCK_UNDOC PADLOCK_GMI PADLOCK_PMM', 'VIA PadLock'],
];
const REASON = new Map(MISSING.flatMap(([features, reason]) => features.split(' ').map(f => [f, reason] as const)));

/** By the two texts. */
const DISAGREE: readonly (readonly [iced: RegExp, ours: RegExp, reason: string])[] = [
  [/ pause $/, / xchg /, 'f3 41 90 exchanges r8 and rax on a processor (an AMD EPYC was asked); iced says pause'],
];

/** Why these two texts may differ, or undefined. `instruction` is iced's. */
export function reasonFor(iced: string, ours: string, instruction: Instruction): string | undefined {
  if (ours === '(bad)') {
    const missing = [...instruction.cpuidFeatures()].map(f => REASON.get(CpuidFeature[f]!));
    return missing.find(reason => reason !== undefined);
  }
  return DISAGREE.find(([i, o]) => i.test(iced) && o.test(ours))?.[2];
}
