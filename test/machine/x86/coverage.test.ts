/** Every operation the decoder can name is executed, or refused by name. */
import { expect, test } from 'vitest';
import { asTicks } from '../../../src/base/brand.js';
import { decode } from '../../../src/machine/x86/decode.js';
import { SEMANTICS, SYSTEM_OPS } from '../../../src/machine/x86/families.js';
import { OPS } from '../../../src/machine/x86/opcodes.js';
import { bare, R } from '../engine/guest.js';

const implemented = new Set([
  ...SYSTEM_OPS.keys(),
  // "cmp+j4", "rep.movs" and the like: a fused pair, a variant.
  ...[...SEMANTICS.values()].flatMap(({ op }) => op.split(/[ +.]/)),
]);
/** Not executed, and why. */
const REFUSED: ReadonlyMap<string, string> = new Map(
  ['f2xm1', 'fyl2x', 'fyl2xp1', 'fptan', 'fpatan', 'fsin', 'fcos', 'fsincos'].map(op => [
    op,
    'transcendental: processors differ in the last bits',
  ]),
);

test('every operation of the opcode map is implemented, or refused for a reason', () => {
  const missing = OPS.filter(op => !implemented.has(op) && !REFUSED.has(op));
  expect(missing).toEqual([]);
  expect([...REFUSED.keys()].filter(op => implemented.has(op) || !OPS.includes(op))).toEqual([]);
});

/** An encoding of each refused operation, found by trying the opcode map's bytes. */
function encodings(): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const attempt = (...bytes: number[]): void => {
    const code = new Uint8Array(15);
    code.set(bytes);
    const insn = decode(code, 0, 15);
    if ('operands' in insn && !found.has(insn.op)) found.set(insn.op, code.subarray(0, insn.length));
  };
  const modrm = [
    0x03,
    ...Array.from({ length: 8 }, (_, n) => 0x03 | (n << 3)),
    ...Array.from({ length: 64 }, (_, n) => 0xc0 + n),
  ];
  for (let opcode = 0xd8; opcode <= 0xdf; opcode++) for (const m of modrm) attempt(opcode, m);
  for (const prefix of [[], [0x66], [0xf3], [0xf2]])
    for (let opcode = 0; opcode < 256; opcode++) for (const m of modrm) attempt(...prefix, 0x0f, opcode, m);
  return found;
}
test('a refused operation ends the run at it, and the reason names it', () => {
  const found = encodings();
  const refused = [...REFUSED.keys()].filter(op => !implemented.has(op));
  expect(refused.length).toBe(8);
  const cpu = bare('90');
  for (const op of refused) {
    const code = found.get(op);
    if (!code) throw new Error(`no encoding of ${op}`);
    cpu.memory.hostWrite(0x1001 as never, code);
    cpu.set(R.rip!, 0x1000n);
    cpu.set(R.rbx!, 0x2000n);
    const before = cpu.machine.ticks;
    const exit = cpu.machine.run(asTicks(before + 10));
    expect(exit).toMatchObject({ kind: 'unimplemented', what: expect.stringMatching(new RegExp(`^${op}\\b`)) });
    expect([cpu.get(R.rip!), cpu.machine.ticks - before]).toEqual([0x1001n, 1]);
  }
});
