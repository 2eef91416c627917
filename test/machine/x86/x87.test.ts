/**
 * The x87 unit and MMX as a kernel and its programs see them: who may use the unit, and when an exception is raised.
 */
import { describe, expect, it, test } from 'vitest';
import { CR0 } from '../../../src/machine/x86/cpu.js';
import { imageOf } from '../../../src/machine/x86/fx-image.js';
import { HIDDEN_STATE, X87_AT } from '../../../src/machine/x86/hidden.js';
import { R } from '../engine/guest.js';
import { AT, drive, faultOf, gate, HALT, handlerOf, kernel, peek, put, run, runToTrap } from './kernel.js';

const ON = CR0.PE | CR0.PG | CR0.NE | CR0.MP;
const MF = faultOf(16);
/** fldcw [rbx]; fld1; fldz; fdivp: a division by zero, not masked. */
const DIVIDE = 'd92b d9e8 d9ee def9';
const ZERO_UNMASKED = 0x37bn;

function unit(code: string, registers: Record<string, bigint> = {}) {
  const { cpu } = kernel({ kernel: code }, { rbx: AT.data, ...registers });
  cpu.set(R.cr0!, cpu.get(R.cr0!) | ON);
  put(cpu, AT.data, ZERO_UNMASKED);
  return cpu;
}

describe('an exception that is not masked', () => {
  it('is pending, and raised by the next instruction that waits', () => {
    const cpu = unit(`${DIVIDE} 90 d9e8 f4`);
    expect(run(cpu)).toEqual(MF);
    expect(cpu.get(R.rip!)).toBe(AT.kernel + 9n); // behind the nop
    expect(cpu.get(R.fsw!) & 0x80ffn).toBe(0x8084n);
    expect(run(cpu)).toEqual(MF); // until somebody clears it
  });
  it('leaves both operands where they were', () => {
    const cpu = unit(`${DIVIDE} f4`);
    expect(run(cpu)).toEqual(HALT);
    const image = new DataView(imageOf(cpu).buffer);
    expect(image.getUint8(4)).toBe(0xc0); // two registers taken
    expect([image.getBigUint64(32, true), image.getBigUint64(48, true)]).toEqual([0n, 1n << 63n]);
  });
  it.each([
    ['wait', '9b'],
    ['fldcw', 'd92b'],
    ['an MMX instruction', '0fefc0'],
    ['emms', '0f77'],
  ])('is raised by %s', (_, code) => {
    expect(run(unit(`${DIVIDE} ${code} f4`))).toEqual(MF);
  });
  it.each([
    ['fnstsw', 'dfe0'],
    ['fnstcw', 'd97b08'],
    ['fnclex', 'dbe2'],
    ['fninit', 'dbe3'],
    ['fnstenv', 'd97308'],
    ['fnsave', 'dd7308'],
    ['fxsave', '480fae4310'],
    ['an SSE2 instruction', '660fefc0'],
  ])('is not raised by %s', (_, code) => {
    expect(run(unit(`${DIVIDE} ${code} f4`))).toEqual(HALT);
  });
  it('goes to the handler of vector 16, which clears it and goes on', () => {
    const cpu = unit(`${DIVIDE} d9e8 f4`);
    gate(cpu, 16);
    const { trap } = runToTrap(cpu);
    expect([trap.vector, cpu.get(R.rip!)]).toEqual([16, handlerOf(16)]);
    put(cpu, handlerOf(16), 0xcf48_e2dbn); // fnclex; iretq
    expect(drive(cpu)).toEqual({ exit: HALT, vectors: [] });
  });
  it('appears when fldcw unmasks what is flagged, and goes when fldcw masks it', () => {
    // fninit; fld1; fldz; fdivp: flagged; then fldcw
    const cpu = unit('dbe3 d9e8 d9ee def9 d92b 90 f4');
    expect(run(cpu)).toEqual(HALT);
    expect(cpu.get(R.fsw!) & 0x8084n).toBe(0x8084n);
    const masked = unit('dbe3 d9e8 d9ee def9 d92b f4');
    put(masked, AT.data, 0x37fn);
    expect(run(masked)).toEqual(HALT);
    expect(masked.get(R.fsw!) & 0x8084n).toBe(4n);
  });
  it('told by an interrupt (CR0.NE clear) is not emulated, and says so', () => {
    const cpu = unit(`${DIVIDE} d9e8`);
    cpu.set(R.cr0!, cpu.get(R.cr0!) & ~CR0.NE);
    expect(run(cpu)).toMatchObject({ kind: 'unimplemented', what: expect.stringContaining('CR0.NE') });
  });
});

test.for<[string, string, bigint, unknown]>([
  ['fld1 with TS', 'd9e8', CR0.TS, faultOf(7)],
  ['fld1 with EM', 'd9e8', CR0.EM, faultOf(7)],
  ['fadd from memory that is not there, with TS', 'd80425 00000040', CR0.TS, faultOf(7)],
  ['paddb with TS', '0ffcc1', CR0.TS, faultOf(7)],
  ['paddb with EM', '0ffcc1', CR0.EM, faultOf(6)],
  ['movq2dq with EM', 'f30fd6c0', CR0.EM, faultOf(6)],
  ['fisttp, which is SSE3', 'db0b', 0n, faultOf(6)],
])('%s', ([, code, bits, expected]) => {
  const cpu = unit(code);
  cpu.set(R.cr0!, cpu.get(R.cr0!) | bits);
  expect(run(cpu, 1)).toEqual(expected);
});

describe('the pointers to the last instruction', () => {
  it('are those of the last one that computed: opcode, address, and offset of its memory operand', () => {
    const cpu = unit('dbe3 d903 d9e8 d97308 f4'); // fninit; fld [rbx]; fld1; fnstenv [rbx+8]
    expect(run(cpu)).toEqual(HALT);
    expect([HIDDEN_STATE.fop, HIDDEN_STATE.fip, HIDDEN_STATE.fdp].map(at => cpu.hidden.get(at))).toEqual([
      0x1e8n,
      AT.kernel + 4n,
      AT.data,
    ]);
    const environment = [0, 1, 2, 3].map(n => peek(cpu, AT.data + 8n + BigInt(8 * n)));
    expect(environment).toEqual([
      0xffff_3002_ffff_037fn, // what it loads is a denormal
      0x0000_1004_ffff_0fffn,
      (0xd000n << 32n) | 0x01e8_0000n,
      0xffff_0000n,
    ]);
  });
});

describe('an mm register', () => {
  it('is the significand of an x87 register, and writing it makes a NaN of that', () => {
    // fninit; fld1 (physical register 7); movq [rbx+8], mm7; movd mm2, eax; emms; fnstsw [rbx]
    const cpu = unit('dbe3 d9e8 0f7f7b08 0f6ed0 0f77 dd3b f4', { rax: 0xffff_ffff_1234_5678n });
    expect(run(cpu)).toEqual(HALT);
    expect(peek(cpu, AT.data + 8n)).toBe(1n << 63n);
    expect([cpu.hidden.get(X87_AT + 32), cpu.hidden.get(X87_AT + 40)]).toEqual([0x1234_5678n, 0xffffn]);
    expect(cpu.get(R.fsw!) & 0x3800n).toBe(0n);
    expect(cpu.hidden.get(HIDDEN_STATE.ftw)).toBe(0n);
  });
  it('takes all x87 registers until emms', () => {
    const without = unit('dbe3 0fefc0 d9e8 f4'); // pxor mm0, mm0; fld1
    expect(run(without)).toEqual(HALT);
    expect(without.get(R.fsw!) & 0x241n).toBe(0x241n); // a stack overflow
    const behind = unit('dbe3 0fefc0 0f77 d9e8 f4');
    expect(run(behind)).toEqual(HALT);
    expect(behind.get(R.fsw!) & 0x7fn).toBe(0n);
  });
});
