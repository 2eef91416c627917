/**
 * The integer instruction forms of 64-bit mode that ring 3 can run, as data. One line is an opcode with its operands;
 * it becomes one form for each operand size, for register and for memory, and with and without lock.
 *
 * Operands are written as in the SDM's opcode map (volume 2, appendix A.2): E modrm r/m, G modrm reg, M modrm memory
 * only, I immediate, J branch displacement, O moffs, Z register in the opcode, S segment register; b w d q the size, v
 * 16, 32 or 64 bits, y 32 or 64, z an immediate of at most 32 bits. `Ibs` is a byte that is sign-extended.
 *
 * Options: `lock` may be locked; `sizes`; `d64` the default size is 64 bits (no REX.W, 66 makes it 16); `w` is REX.W
 * without an operand to say so; `prefix` mandatory or rep; `setup` the implicit operands (setups.mjs); `land` see
 * layout.mjs; `noAccess` the memory operand is not accessed; `safe` memory operands stay in mapped memory; `reg`, `mem`
 * only that kind of E. `tail` bytes that follow the opcode.
 */

import { MMX_FORMS } from './forms-mmx.mjs';
import { SSE_FORMS } from './forms-sse.mjs';
import { addX87 } from './forms-x87.mjs';

/**
 * @typedef {object} Form
 * @property {string} id      unique: opcode, mnemonic, operands, size, kind
 * @property {string} family  the fixture file it is in
 * @property {string} op      mnemonic as the decoder names it (jcc, setcc, cmovcc have their condition in the opcode)
 * @property {number[]} opcode
 * @property {number} digit   modrm /digit, or -1
 * @property {string[]} operands
 * @property {1 | 2 | 4 | 8} size  operand size in bytes
 * @property {'' | 'reg' | 'mem'} rm  what the modrm byte names; '' without one
 * @property {boolean} lock
 * @property {Options} options
 *
 * @typedef {object} Options
 * @property {boolean=} lock
 * @property {(1 | 2 | 4 | 8)[]=} sizes
 * @property {boolean=} d64
 * @property {boolean=} w
 * @property {number=} prefix
 * @property {string=} setup
 * @property {boolean=} land
 * @property {boolean=} noAccess
 * @property {boolean=} safe
 * @property {boolean=} reg
 * @property {boolean=} mem
 * @property {boolean=} bitOffset  the register operand is a signed bit offset from the memory operand
 * @property {number[]=} tail
 * @property {boolean=} fx     the case has an fxsave image
 * @property {string=} values  what xmm operands hold (floats.mjs)
 * @property {boolean=} aligned  memory of 16 bytes must be aligned
 * @property {boolean=} mxcsr  the case has an mxcsr of its own
 */

/** @type {Form[]} */
const forms = [];
let family = '';

/**
 * @param {string} op @param {string} encoding hex bytes, then /digit if the modrm byte has one
 * @param {string} operands comma-separated @param {Options} [options]
 */
function add(op, encoding, operands = '', options = {}) {
  const parts = encoding.split(' ');
  const digit = parts.find(p => p.startsWith('/'));
  const opcode = parts.filter(p => !p.startsWith('/')).map(p => Number.parseInt(p, 16));
  const list = operands ? operands.split(',') : [];
  const hasE = list.some(o => o[0] === 'E');
  const hasM = list.some(o => o[0] === 'M');
  const kinds = hasM ? ['mem'] : hasE ? ['reg', 'mem'] : [digit ? 'reg' : ''];
  const wanted = kinds.filter(k => (!options.reg || k === 'reg') && (!options.mem || k === 'mem'));
  for (const size of options.sizes ?? sizesOf(list, options.d64)) {
    for (const rm of /** @type {Form['rm'][]} */ (wanted)) {
      for (const lock of options.lock && rm === 'mem' ? [false, true] : [false]) {
        const prefix = options.prefix ? `${options.prefix.toString(16)} ` : '';
        const tail = options.tail?.map(b => b.toString(16)).join(' ') ?? '';
        const words = [`${prefix}${encoding}`, tail, op, operands, `${size * 8}`, rm, lock ? 'lock' : ''];
        forms.push({
          id: words.filter(w => w).join(' '),
          family,
          op,
          opcode,
          digit: digit ? Number(digit.slice(1)) : -1,
          operands: list,
          size,
          rm,
          lock,
          options,
        });
      }
    }
  }
}

/** @param {string[]} operands @param {boolean | undefined} d64 @returns {(1 | 2 | 4 | 8)[]} */
function sizesOf(operands, d64) {
  if (d64) return [2, 8];
  const letters = operands.map(o => o.slice(1));
  if (letters.includes('v')) return [2, 4, 8];
  if (letters.includes('y')) return [4, 8];
  if (operands.includes('AX')) return [2, 4, 8];
  if (letters.includes('q')) return [8];
  if (letters.includes('w')) return [2];
  if (letters.includes('d')) return [4];
  return [1];
}

/** @param {number} n @returns {string} */
const hex = n => n.toString(16).padStart(2, '0');
/** The same line for sixteen conditions. @param {(cc: number) => void} line */
const conditions = line => {
  for (let cc = 0; cc < 16; cc++) line(cc);
};

family = 'alu';
['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].forEach((op, i) => {
  const lock = op !== 'cmp';
  add(op, hex(i * 8), 'Eb,Gb', { lock });
  add(op, hex(i * 8 + 1), 'Ev,Gv', { lock });
  add(op, hex(i * 8 + 2), 'Gb,Eb');
  add(op, hex(i * 8 + 3), 'Gv,Ev');
  add(op, hex(i * 8 + 4), 'AL,Ib');
  add(op, hex(i * 8 + 5), 'AX,Iz');
  add(op, `80 /${i}`, 'Eb,Ib', { lock });
  add(op, `81 /${i}`, 'Ev,Iz', { lock });
  add(op, `83 /${i}`, 'Ev,Ibs', { lock });
});
add('test', '84', 'Eb,Gb');
add('test', '85', 'Ev,Gv');
add('test', 'a8', 'AL,Ib');
add('test', 'a9', 'AX,Iz');
for (const digit of [0, 1]) {
  add('test', `f6 /${digit}`, 'Eb,Ib');
  add('test', `f7 /${digit}`, 'Ev,Iz');
}
add('inc', 'fe /0', 'Eb', { lock: true });
add('dec', 'fe /1', 'Eb', { lock: true });
add('inc', 'ff /0', 'Ev', { lock: true });
add('dec', 'ff /1', 'Ev', { lock: true });
add('not', 'f6 /2', 'Eb', { lock: true });
add('neg', 'f6 /3', 'Eb', { lock: true });
add('not', 'f7 /2', 'Ev', { lock: true });
add('neg', 'f7 /3', 'Ev', { lock: true });

family = 'shift';
['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'shl', 'sar'].forEach((op, i) => {
  add(op, `c0 /${i}`, 'Eb,Ib', { setup: 'count' });
  add(op, `c1 /${i}`, 'Ev,Ib', { setup: 'count' });
  add(op, `d0 /${i}`, 'Eb,1');
  add(op, `d1 /${i}`, 'Ev,1');
  add(op, `d2 /${i}`, 'Eb,CL', { setup: 'count' });
  add(op, `d3 /${i}`, 'Ev,CL', { setup: 'count' });
});
add('shld', '0f a4', 'Ev,Gv,Ib', { setup: 'count' });
add('shld', '0f a5', 'Ev,Gv,CL', { setup: 'count' });
add('shrd', '0f ac', 'Ev,Gv,Ib', { setup: 'count' });
add('shrd', '0f ad', 'Ev,Gv,CL', { setup: 'count' });

family = 'muldiv';
['mul', 'imul', 'div', 'idiv'].forEach((op, i) => {
  const setup = i < 2 ? 'accumulator' : 'dividend';
  add(op, `f6 /${i + 4}`, 'Eb', { setup });
  add(op, `f7 /${i + 4}`, 'Ev', { setup });
});
add('imul', '0f af', 'Gv,Ev');
add('imul', '69', 'Gv,Ev,Iz');
add('imul', '6b', 'Gv,Ev,Ibs');

family = 'move';
add('mov', '88', 'Eb,Gb');
add('mov', '89', 'Ev,Gv');
add('mov', '8a', 'Gb,Eb');
add('mov', '8b', 'Gv,Ev');
add('mov', 'b0', 'Zb,Ib');
add('mov', 'b8', 'Zv,Iv');
add('mov', 'c6 /0', 'Eb,Ib');
add('mov', 'c7 /0', 'Ev,Iz');
add('mov', 'a0', 'AL,Ob');
add('mov', 'a1', 'AX,Ov');
add('mov', 'a2', 'Ob,AL');
add('mov', 'a3', 'Ov,AX');
add('mov', '8c', 'Ev,Sw', { reg: true });
add('mov', '8c', 'Ew,Sw', { mem: true });
add('lea', '8d', 'Gv,M', { noAccess: true });
add('movzx', '0f b6', 'Gv,Eb');
add('movzx', '0f b7', 'Gv,Ew');
add('movsx', '0f be', 'Gv,Eb');
add('movsx', '0f bf', 'Gv,Ew');
add('movsxd', '63', 'Gv,Ed', { sizes: [4, 8] });
add('movnti', '0f c3', 'My,Gy');
add('xchg', '90', 'Zv,AX');
add('bswap', '0f c8', 'Zy');
add('cbw', '98', '', { sizes: [2, 4, 8], w: true, setup: 'accumulator' });
add('cwd', '99', '', { sizes: [2, 4, 8], w: true, setup: 'accumulator' });
add('xlat', 'd7', '', { setup: 'xlat' });
add('lahf', '9f');
add('sahf', '9e', '', { setup: 'accumulator' });
for (const [op, byte] of Object.entries({ cmc: 'f5', clc: 'f8', stc: 'f9', cld: 'fc', std: 'fd' })) add(op, byte);
add('nop', '90');
add('pause', '90', '', { prefix: 0xf3 });
add('nop', '0f 1f /0', 'Ev', { noAccess: true });
add('endbr64', '0f 1e', '', { prefix: 0xf3, tail: [0xfa] });
for (const digit of [0, 1, 2, 3]) add('prefetch', `0f 18 /${digit}`, 'Mb', { noAccess: true });
add('clflush', '0f ae /7', 'Mb');
for (const [op, byte] of /** @type {const} */ ([
  ['lfence', 0xe8],
  ['mfence', 0xf0],
  ['sfence', 0xf8],
]))
  add(op, '0f ae', '', { tail: [byte] });

family = 'condition';
conditions(cc => add('cmovcc', `0f ${hex(0x40 + cc)}`, 'Gv,Ev'));
conditions(cc => add('setcc', `0f ${hex(0x90 + cc)}`, 'Eb'));

family = 'bits';
['bt', 'bts', 'btr', 'btc'].forEach((op, i) => {
  const lock = op !== 'bt';
  add(op, `0f ${hex(0xa3 + i * 8)}`, 'Ev,Gv', { lock, bitOffset: true });
  add(op, `0f ba /${i + 4}`, 'Ev,Ib', { lock });
});
add('bsf', '0f bc', 'Gv,Ev');
add('bsr', '0f bd', 'Gv,Ev');
add('tzcnt', '0f bc', 'Gv,Ev', { prefix: 0xf3 });
add('lzcnt', '0f bd', 'Gv,Ev', { prefix: 0xf3 });
add('popcnt', '0f b8', 'Gv,Ev', { prefix: 0xf3 });

family = 'atomic';
add('xchg', '86', 'Eb,Gb', { lock: true });
add('xchg', '87', 'Ev,Gv', { lock: true });
add('xadd', '0f c0', 'Eb,Gb', { lock: true });
add('xadd', '0f c1', 'Ev,Gv', { lock: true });
add('cmpxchg', '0f b0', 'Eb,Gb', { lock: true, setup: 'cmpxchg' });
add('cmpxchg', '0f b1', 'Ev,Gv', { lock: true, setup: 'cmpxchg' });
add('cmpxchg8b', '0f c7 /1', 'M8', { lock: true, sizes: [4], setup: 'cmpxchg8b' });
add('cmpxchg16b', '0f c7 /1', 'M16', { lock: true, sizes: [8], w: true, setup: 'cmpxchg8b' });

family = 'stack';
add('push', '50', 'Zv', { d64: true, setup: 'push' });
add('pop', '58', 'Zv', { d64: true, setup: 'pop' });
add('push', '68', 'Iz', { d64: true, setup: 'push' });
add('push', '6a', 'Ibs', { d64: true, setup: 'push' });
add('push', 'ff /6', 'Ev', { d64: true, setup: 'push' });
add('pop', '8f /0', 'Ev', { d64: true, setup: 'pop' });
add('push', '0f a0', '', { d64: true, setup: 'push' });
add('push', '0f a8', '', { d64: true, setup: 'push' });
add('pushf', '9c', '', { d64: true, setup: 'push', land: true });
add('popf', '9d', '', { d64: true, setup: 'popf', land: true });
add('enter', 'c8', 'Iw,Ib', { d64: true, setup: 'enter' });
add('leave', 'c9', '', { d64: true, setup: 'leave' });

family = 'branch';
conditions(cc => add('jcc', hex(0x70 + cc), 'Jb', { sizes: [8], d64: true }));
conditions(cc => add('jcc', `0f ${hex(0x80 + cc)}`, 'Jz', { sizes: [8], d64: true }));
add('jmp', 'eb', 'Jb', { sizes: [8], d64: true });
add('jmp', 'e9', 'Jz', { sizes: [8], d64: true });
add('jmp', 'ff /4', 'Ev', { sizes: [8], d64: true, setup: 'target' });
add('call', 'e8', 'Jz', { sizes: [8], d64: true, setup: 'push' });
add('call', 'ff /2', 'Ev', { sizes: [8], d64: true, setup: 'call' });
add('ret', 'c3', '', { sizes: [8], d64: true, setup: 'ret' });
add('ret', 'c2', 'Iw', { sizes: [8], d64: true, setup: 'ret' });
['loopne', 'loope', 'loop', 'jrcxz'].forEach((op, i) => {
  add(op, hex(0xe0 + i), 'Jb', { sizes: [8], d64: true, setup: 'loop' });
});
add('retf', 'cb', '', { sizes: [4, 8], w: true, setup: 'retf', land: true });
add('retf', 'ca', 'Iw', { sizes: [4, 8], w: true, setup: 'retf', land: true });
add('iret', 'cf', '', { sizes: [4, 8], w: true, setup: 'iret', land: true });

family = 'string';
for (const [op, byte] of /** @type {const} */ ([
  ['movs', 0xa4],
  ['cmps', 0xa6],
  ['stos', 0xaa],
  ['lods', 0xac],
  ['scas', 0xae],
])) {
  const compares = op === 'cmps' || op === 'scas';
  for (const prefix of compares ? [0, 0xf3, 0xf2] : [0, 0xf3]) {
    const options = { setup: 'string', land: prefix !== 0, w: true, ...(prefix ? { prefix } : {}) };
    add(op, hex(byte), '', { ...options, sizes: [1] });
    add(op, hex(byte + 1), '', { ...options, sizes: [2, 4, 8] });
  }
}

family = 'trap';
for (const [op, code] of Object.entries({
  hlt: 'f4',
  cli: 'fa',
  sti: 'fb',
  clts: '0f 06',
  invd: '0f 08',
  wbinvd: '0f 09',
  wrmsr: '0f 30',
  rdmsr: '0f 32',
  'lldt ax': '0f 00 d0',
  'ltr ax': '0f 00 d8',
  'lmsw ax': '0f 01 f0',
  swapgs: '0f 01 f8',
  sysret: '0f 07',
  'sysret ': '48 0f 07',
  'mov rax,cr0': '0f 20 c0',
  'mov rax,cr3': '0f 20 d8',
  'mov cr3,rax': '0f 22 d8',
  'mov cr8,rax': '44 0f 22 c0',
  'mov rax,dr7': '0f 21 f8',
  'mov dr7,rax': '0f 23 f8',
  'lgdt [rip]': '0f 01 15 00 00 00 00',
  'lidt [rip]': '0f 01 1d 00 00 00 00',
  'invlpg [rip]': '0f 01 3d 00 00 00 00',
  'in al,ib': 'e4 60',
  'in eax,ib': 'e5 60',
  'out ib,al': 'e6 80',
  'out ib,eax': 'e7 80',
  'in al,dx': 'ec',
  'in eax,dx': 'ed',
  'out dx,al': 'ee',
  'out dx,eax': 'ef',
  insb: '6c',
  insd: '6d',
  outsb: '6e',
  outsd: '6f',
  int3: 'cc',
  'int 3': 'cd 03',
  'int 4': 'cd 04',
  'int 0': 'cd 00',
  'int 1': 'cd 01',
  'int 13': 'cd 0d',
  'int 32': 'cd 20',
  'int 255': 'cd ff',
  ud2: '0f 0b',
  ud1: '0f b9 c0',
  ud0: '0f ff c0',
  'push es': '06',
  'pop es': '07',
  'push cs': '0e',
  'push ss': '16',
  'push ds': '1e',
  daa: '27',
  das: '2f',
  aaa: '37',
  aas: '3f',
  pusha: '60',
  popa: '61',
  '82 /0': '82 c0 00',
  callf: '9a 00 00 00 00 00 00',
  aam: 'd4 0a',
  aad: 'd5 0a',
  salc: 'd6',
  jmpf: 'ea 00 00 00 00 00 00',
  into: 'ce',
  '0f 04': '0f 04',
  '0f 0a': '0f 0a',
  '0f 24': '0f 24',
  '0f 36': '0f 36',
  '0f 39': '0f 39',
  '0f a6': '0f a6',
  rsm: '0f aa',
  'fe /2': 'fe d0',
  'ff /7': 'ff f8',
  'c6 /1': 'c6 c8 00',
  'c7 /1': 'c7 c8 00 00 00 00',
  'lea reg': '8d c0',
  '0f ba /0': '0f ba c0 00',
  'callf reg': 'ff d8',
  'jmpf reg': 'ff e8',
  'mov cs,ax': '8e c8',
  'mov seg 6': '8e f0',
  'mov ax,seg 7': '8c f8',
  'mov cr1': '0f 20 c8',
  'cmpxchg8b /0': '0f c7 c0',
  'lock mov': 'f0 89 07',
  'lock add reg': 'f0 01 c0',
  'lock cmp': 'f0 39 07',
  'lock nop': 'f0 90',
  'lock jmp': 'f0 eb 00',
  'lock bt': 'f0 0f a3 07',
  'lock inc reg': 'f0 ff c0',
  'lock shl': 'f0 d1 27',
  'lock xchg reg': 'f0 87 c1',
  'lock cmpxchg reg': 'f0 0f b1 c1',
  'lock imul': 'f0 0f af 07',
  'lock movs': 'f0 a4',
  'lock push': 'f0 50',
  'fifteen bytes': '66 66 66 66 66 66 66 66 66 66 66 66 66 66 90',
  'sixteen bytes': '66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90',
}))
  add(op.trim(), code, '', { setup: 'plain' });
family = 'fetch';
for (const [op, code] of Object.entries({
  'mov eax,iz': 'b8 01 02 03 04',
  'mov rax,iv': '48 b8 01 02 03 04 05 06 07 08',
  'jmp jz': 'e9 10 00 00 00',
  'add [rip],iz': '81 05 00 08 01 00 01 02 03 04',
  'movzx eax,cl': '0f b6 c1',
  prefixes: '66 66 66 66 66 66 66 66 66 66 66 66 66 66 90',
  'push iz': '68 01 02 03 04',
  ret: 'c2 08 00',
}))
  add(op, code, '', { setup: 'fetch' });

family = 'x87';
addX87(add);

/** Every form, in the order of the file. @type {readonly Form[]} */
export const FORMS = [...forms, ...SSE_FORMS, ...MMX_FORMS];
/** The fixture files, in order. @type {readonly string[]} */
export const FAMILIES = [...new Set(FORMS.map(f => f.family))];
