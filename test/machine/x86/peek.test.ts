/** Addresses are translated as the tables are now, however alike the questions: against a walk written out here. */
import { expect, test } from 'vitest';
import { asPaddr } from '../../../src/base/brand.js';
import { hi32, lo32 } from '../../../src/base/u64.js';
import { Peek } from '../../../src/machine/x86/peek.js';
import { bare, LARGE, MIB, PRESENT, R, Tables, USER } from '../engine/guest.js';
import { Random } from '../engine/patching-program.js';

const SEED = Number(process.env.REWALK_SEED ?? 1);
const MEMORY = 4 * MIB;
const FRAME = 0xf_ffff_ffff_f000n;

test('a translation follows every change of entries, root and privilege at once', () => {
  const random = new Random(SEED);
  const cpu = bare('f4');
  const { memory } = cpu;
  const peek = new Peek(memory);
  new Tables(cpu).enable(0);
  const read = (at: bigint): bigint => memory.read(asPaddr(Number(at)), 8);
  const walked = (va: bigint): number => {
    const needed = cpu.cpl === 3 ? PRESENT | USER : PRESENT;
    let entry = cpu.get(R.cr3!);
    for (const shift of [39n, 30n, 21n, 12n]) {
      const at = (entry & FRAME) + 8n * ((va >> shift) & 511n);
      if (at > BigInt(MEMORY - 8)) return -1;
      entry = read(at);
      if ((entry & needed) !== needed) return -1;
      const isPage = shift === 12n || (shift < 39n && (entry & LARGE) !== 0n);
      if (!isPage) continue;
      const inside = (1n << shift) - 1n;
      const physical = (entry & FRAME & ~inside) | (va & inside);
      return physical > BigInt(MEMORY - 8) ? -1 : Number(physical);
    }
    return -1;
  };
  // Two roots and six tables below, in which few entries are used, so that walks meet changed ones often.
  const roots = [0x10_0000n, 0x10_1000n];
  const tables = [...roots, ...Array.from({ length: 6 }, (_, n) => 0x10_2000n + 0x1000n * BigInt(n))];
  const indexes = [0n, 1n, 511n];
  const entry = (): bigint => {
    const to = random.below(12) === 0 ? BigInt(random.below(2 ** 31)) * 0x1000n : random.of(tables.slice(2));
    const bits = [PRESENT, PRESENT, PRESENT | USER, PRESENT | USER, PRESENT | USER | LARGE, 0n];
    return (to & FRAME) | random.of(bits);
  };
  let found = 0;
  let va = 0n;
  for (let n = 0; n < 60_000; n++) {
    if (random.below(4) === 0)
      memory.hostStore(asPaddr(Number(random.of(tables) + 8n * random.of(indexes))), 8, entry());
    if (random.below(50) === 0) cpu.set(R.cr3!, random.of(roots));
    if (random.below(50) === 0) cpu.set(R.cs!, random.of([0x10n, 0x33n]));
    if (random.below(3) === 0) {
      const [a, b, c, d] = [0, 0, 0, 0].map(() => random.of(indexes)) as [bigint, bigint, bigint, bigint];
      va = BigInt.asUintN(
        64,
        BigInt.asIntN(48, (a << 39n) | (b << 30n) | (c << 21n) | (d << 12n) | BigInt(random.below(4096))),
      );
      if (random.below(100) === 0) va ^= 1n << 50n; // means nothing
    }
    const canonical = BigInt.asUintN(64, BigInt.asIntN(48, va)) === va;
    const at = peek.translate(lo32(va), hi32(va));
    expect(at, `seed ${SEED}, round ${n}`).toBe(canonical ? walked(va) : -1);
    if (at >= 0) found++;
  }
  expect(found).toBeGreaterThan(5000);
});
