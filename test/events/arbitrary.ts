/** Random events of every kind, for property tests: every field takes its extremes. */
import fc from 'fast-check';
import { type Draft, KINDS, type KindName } from '../../src/events/kinds.js';
import type { AnyField } from '../../src/events/schema.js';

const word64 = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    0x7fff_ffff_ffff_ffffn,
    0x8000_0000_0000_0000n,
    0xffff_ffff_ffff_ffffn,
    0xffff_ffffn,
    0x1_0000_0000n,
  ),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const STORE_MAX = { u8: 0xff, u16: 0xffff, u32: 0xffff_ffff } as const;

function fieldValue(f: AnyField): fc.Arbitrary<unknown> {
  switch (f.shape) {
    case 'pair':
      return word64;
    case 'u64s':
      return fc.array(word64, { maxLength: 6 });
    case 'bytes':
      return fc.uint8Array({ maxLength: 12 }).map(b => Buffer.from(b).toString('latin1'));
    case 'word': {
      if (f.show === 'flag') return fc.boolean();
      if (f.show === 'enum') return fc.constantFrom(...f.names!);
      const max = STORE_MAX[f.store as keyof typeof STORE_MAX];
      return fc.oneof(fc.constantFrom(0, 1, max), fc.integer({ min: 0, max }));
    }
    default:
      return fc.constant([]);
  }
}

const bits = (mask: bigint): number => mask.toString(2).replaceAll('0', '').length;

/** A draft of this kind without ticks and cause. Register lists have as many values as their mask has bits. */
export function bodyOf(kind: KindName): fc.Arbitrary<Record<string, unknown>> {
  const fields = KINDS[kind].fields as Record<string, AnyField>;
  const body = fc.record(Object.fromEntries(Object.entries(fields).map(([name, f]) => [name, fieldValue(f)])));
  if (!('mask' in fields)) return body;
  return fc
    .tuple(word64, fc.array(word64, { minLength: 64, maxLength: 64 }))
    .map(([mask, values]) => ({ mask, values: values.slice(0, bits(mask)), olds: [] }));
}

/** A draft of any kind of the main stream. */
export const draftOf = (kinds: readonly KindName[]): fc.Arbitrary<Draft> =>
  fc
    .constantFrom(...kinds)
    .chain(kind => fc.tuple(fc.constant(kind), bodyOf(kind), fc.nat(3), fc.nat(1000)))
    .map(([kind, body, vcpu, ticks]) => ({ kind, ...body, vcpu, ticks, cause: -1 }) as unknown as Draft);
