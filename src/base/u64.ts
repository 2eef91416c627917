/** u64 values: bigint for people and views, two u32 words (lo, hi) on hot paths and in columns. */

export const lo32 = (v: bigint): number => Number(v & 0xffff_ffffn);
export const hi32 = (v: bigint): number => Number((v >> 32n) & 0xffff_ffffn);
/** The u64 whose words are lo and hi; signed words are taken as their bits. */
export const u64 = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
/** The u64 as a number; exact below 2^53. */
export const u53 = (lo: number, hi: number): number => (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0);
export const hex = (v: bigint | number): string => v.toString(16);
/** Sixteen hex digits, as kernels print addresses. */
export const hex16 = (v: bigint): string => BigInt.asUintN(64, v).toString(16).padStart(16, '0');

/** Parses `0x...` or bare hex digits as people paste them (ffffffff81000000, ffffffff`81000000); undefined if it is neither. */
export function parseHex(text: string): bigint | undefined {
  const digits = text.trim().replace(/^0x/i, '').replace(/[`_]/g, '');
  return /^[0-9a-f]{1,16}$/i.test(digits) ? BigInt(`0x${digits}`) : undefined;
}
