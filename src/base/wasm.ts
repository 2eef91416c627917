/**
 * A small assembler for WebAssembly binaries. Code is a tree of values: `i64.add(get(a), i64.const(1))` is the tree for
 * `local.get a; i64.const 1; i64.add`. Operands come first, as in the binary, so a tree is flattened by walking it.
 * Branches name a label instead of a depth and calls name a function instead of an index; `moduleOf` resolves both.
 * Opcode numbers: WebAssembly core specification 2.0, 5.4 (binary format of instructions). Floats and vectors: simd.ts.
 */
import { assert } from './assert.js';

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
export type Code = number | readonly Code[] | Block | Branch | Table | Call | Indirect;
export interface Label {
  readonly name: string;
}
interface Block {
  readonly node: 'block';
  readonly opcode: 0x02 | 0x03 | 0x04;
  readonly label: Label | undefined;
  readonly type: ValueType | 'void';
  readonly body: Code;
  readonly otherwise: Code | undefined;
}
interface Branch {
  readonly node: 'branch';
  readonly opcode: 0x0c | 0x0d;
  readonly to: Label;
}
interface Table {
  readonly node: 'table';
  readonly cases: readonly Label[];
  readonly otherwise: Label;
}
interface Call {
  readonly node: 'call';
  readonly name: string;
}
/** A call of a function in the table, of the type of a function that is named. */
interface Indirect {
  readonly node: 'indirect';
  readonly like: string;
}

/** A local variable or parameter of the function under construction: its index and type. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}
export interface Func {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result?: ValueType;
  /** Locals after the parameters; index of the first is params.length. */
  readonly locals?: readonly ValueType[];
  readonly body: Code;
  readonly exported?: boolean;
}
export interface Import {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result?: ValueType;
}

const TYPE_CODE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, void: 0x40 } as const;

/** Unsigned LEB128. */
export function uleb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest ? byte | 0x80 : byte);
  } while (rest);
  return out;
}
/** Signed LEB128. */
export function sleb(value: number | bigint): number[] {
  const out: number[] = [];
  for (let rest = BigInt(value); ; ) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && !(byte & 0x40)) || (rest === -1n && byte & 0x40)) return [...out, byte];
    out.push(byte | 0x80);
  }
}

/** Makes of an opcode (several bytes, for those behind a prefix) what writes it behind its operands. */
export const unary =
  (...opcode: number[]) =>
  (a: Code): Code => [a, opcode];
export const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [a, b, opcode];
// Alignment hints are all 0 (byte): what is read is often not aligned, and engines ignore the hint.
export const load =
  (...opcode: number[]) =>
  (at: Code, offset = 0): Code => [at, opcode, 0, uleb(offset)];
export const store =
  (...opcode: number[]) =>
  (at: Code, value: Code, offset = 0): Code => [at, value, opcode, 0, uleb(offset)];

export const i32 = {
  const: (n: number): Code => [0x41, ...sleb(n | 0)],
  load: load(0x28),
  load8S: load(0x2c),
  load8U: load(0x2d),
  load16S: load(0x2e),
  load16U: load(0x2f),
  store: store(0x36),
  store8: store(0x3a),
  store16: store(0x3b),
  eqz: unary(0x45),
  eq: binary(0x46),
  ne: binary(0x47),
  ltS: binary(0x48),
  ltU: binary(0x49),
  gtS: binary(0x4a),
  gtU: binary(0x4b),
  leS: binary(0x4c),
  leU: binary(0x4d),
  geS: binary(0x4e),
  geU: binary(0x4f),
  clz: unary(0x67),
  ctz: unary(0x68),
  popcnt: unary(0x69),
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  divS: binary(0x6d),
  divU: binary(0x6e),
  remS: binary(0x6f),
  remU: binary(0x70),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  shrS: binary(0x75),
  shrU: binary(0x76),
  rotl: binary(0x77),
  rotr: binary(0x78),
  /** The low word of an i64. */
  wrap: unary(0xa7),
} as const;

export const i64 = {
  const: (n: number | bigint): Code => [0x42, ...sleb(BigInt.asIntN(64, BigInt(n)))],
  load: load(0x29),
  load8S: load(0x30),
  load8U: load(0x31),
  load16S: load(0x32),
  load16U: load(0x33),
  load32S: load(0x34),
  load32U: load(0x35),
  store: store(0x37),
  store8: store(0x3c),
  store16: store(0x3d),
  store32: store(0x3e),
  eqz: unary(0x50),
  eq: binary(0x51),
  ne: binary(0x52),
  ltS: binary(0x53),
  ltU: binary(0x54),
  gtS: binary(0x55),
  gtU: binary(0x56),
  leS: binary(0x57),
  leU: binary(0x58),
  geS: binary(0x59),
  geU: binary(0x5a),
  clz: unary(0x79),
  ctz: unary(0x7a),
  popcnt: unary(0x7b),
  add: binary(0x7c),
  sub: binary(0x7d),
  mul: binary(0x7e),
  divS: binary(0x7f),
  divU: binary(0x80),
  remS: binary(0x81),
  remU: binary(0x82),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shl: binary(0x86),
  shrS: binary(0x87),
  shrU: binary(0x88),
  rotl: binary(0x89),
  rotr: binary(0x8a),
  /** An i32 as i64, sign- or zero-extended. */
  extendS: unary(0xac),
  extendU: unary(0xad),
  /** The low 8, 16 or 32 bits sign-extended to 64. */
  sign8: unary(0xc2),
  sign16: unary(0xc3),
  sign32: unary(0xc4),
} as const;

export const get = (v: Local): Code => [0x20, uleb(v.index)];
export const set = (v: Local, value: Code): Code => [value, 0x21, uleb(v.index)];
/** Sets and leaves the value. */
export const tee = (v: Local, value: Code): Code => [value, 0x22, uleb(v.index)];
export const drop = (value: Code): Code => [value, 0x1a];
/** `yes` if the condition is not 0, else `no`; both are computed. */
export const select = (yes: Code, no: Code, condition: Code): Code => [yes, no, condition, 0x1b];
export const ret = (value: Code = []): Code => [value, 0x0f];
export const unreachable: Code = 0x00;
/** memmove inside linear memory; overlapping is allowed. */
export const memoryCopy = (to: Code, from: Code, bytes: Code): Code => [to, from, bytes, 0xfc, 0x0a, 0, 0];
export const memoryFill = (at: Code, byte: Code, bytes: Code): Code => [at, byte, bytes, 0xfc, 0x0b, 0];

export const label = (name: string): Label => ({ name });
export const call = (name: string, ...args: Code[]): Code => [args, { node: 'call', name }];
/** Calls entry `index` of the table; its type must be that of the function `like`. */
export const callIndirect = (like: string, index: Code, ...args: Code[]): Code => [
  args,
  index,
  { node: 'indirect', like },
];
export const br = (to: Label): Code => ({ node: 'branch', opcode: 0x0c, to });
export const brIf = (to: Label, condition: Code): Code => [condition, { node: 'branch', opcode: 0x0d, to }];
export const brTable = (index: Code, cases: readonly Label[], otherwise: Label): Code => [
  index,
  { node: 'table', cases, otherwise },
];
/** A branch to its label leaves it. */
export const block = (to: Label, body: Code): Code => ({
  node: 'block',
  opcode: 0x02,
  label: to,
  type: 'void',
  body,
  otherwise: undefined,
});
/** A branch to its label starts it again; falling out of the end leaves it. */
export const loop = (to: Label, body: Code): Code => ({
  node: 'block',
  opcode: 0x03,
  label: to,
  type: 'void',
  body,
  otherwise: undefined,
});
export const when = (condition: Code, body: Code, otherwise?: Code): Code => [
  condition,
  { node: 'block', opcode: 0x04, label: undefined, type: 'void', body, otherwise },
];
/** An if with a value: only the chosen side is computed. */
export const choose = (type: ValueType, condition: Code, body: Code, otherwise: Code): Code => [
  condition,
  { node: 'block', opcode: 0x04, label: undefined, type, body, otherwise },
];

/** Appends the bytes of `code` to `out`. `labels` are the enclosing blocks, innermost last. */
function flatten(
  code: Code,
  out: number[],
  labels: (Label | undefined)[],
  functions: ReadonlyMap<string, number>,
): void {
  if (typeof code === 'number') {
    out.push(code);
    return;
  }
  if (!('node' in code)) {
    for (const part of code) flatten(part, out, labels, functions);
    return;
  }
  const depth = (to: Label): number => {
    const at = labels.lastIndexOf(to);
    assert(at >= 0, `branch to ${to.name}, which does not enclose it`);
    return labels.length - 1 - at;
  };
  switch (code.node) {
    case 'block':
      out.push(code.opcode, TYPE_CODE[code.type]);
      labels.push(code.label);
      flatten(code.body, out, labels, functions);
      if (code.otherwise !== undefined) {
        out.push(0x05);
        flatten(code.otherwise, out, labels, functions);
      }
      labels.pop();
      out.push(0x0b);
      return;
    case 'branch':
      out.push(code.opcode, ...uleb(depth(code.to)));
      return;
    case 'table':
      out.push(0x0e, ...uleb(code.cases.length));
      for (const to of code.cases) out.push(...uleb(depth(to)));
      out.push(...uleb(depth(code.otherwise)));
      return;
    case 'call':
    case 'indirect': {
      const name = code.node === 'call' ? code.name : code.like;
      const index = functions.get(name);
      assert(index !== undefined, `call of ${name}, which is no function`);
      if (code.node === 'call') out.push(0x10, ...uleb(index));
      else out.push(0x11, ...uleb(index), 0); // types are numbered as functions are
    }
  }
}

/**
 * The binary of a module that imports its memory (of so many pages of 64 KiB, and at most so many) as env.memory and the
 * given functions from env, and exports the functions marked so; and, if it is to have one, a table of so many functions
 * as `table`.
 */
export function moduleOf(
  imports: readonly Import[],
  funcs: readonly Func[],
  memory: { readonly pages: number; readonly most: number },
  tableEntries = 0,
): Uint8Array<ArrayBuffer> {
  const functions = new Map<string, number>();
  for (const f of [...imports, ...funcs]) {
    assert(!functions.has(f.name), `two functions are called ${f.name}`);
    functions.set(f.name, functions.size);
  }
  const name = (text: string): number[] => [...uleb(text.length), ...Buffer.from(text)];
  const out: number[] = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const section = (id: number, items: readonly (readonly number[])[]): void => {
    const count = uleb(items.length);
    out.push(id, ...uleb(items.reduce((sum, item) => sum + item.length, count.length)), ...count);
    for (const item of items) for (const byte of item) out.push(byte);
  };
  // One type per function: simple, and a few hundred bytes more.
  section(
    1,
    [...imports, ...funcs].map(f => [
      0x60,
      ...uleb(f.params.length),
      ...f.params.map(p => TYPE_CODE[p]),
      ...(f.result ? [1, TYPE_CODE[f.result]] : [0]),
    ]),
  );
  section(2, [
    [...name('env'), ...name('memory'), 0x02, 0x01, ...uleb(memory.pages), ...uleb(memory.most)],
    ...imports.map((f, n) => [...name('env'), ...name(f.name), 0x00, ...uleb(n)]),
  ]);
  section(
    3,
    funcs.map((_, n) => uleb(imports.length + n)),
  );
  if (tableEntries > 0) section(4, [[0x70, 0x00, ...uleb(tableEntries)]]);
  section(7, [
    ...funcs.flatMap(f => (f.exported ? [[...name(f.name), 0x00, ...uleb(functions.get(f.name)!)]] : [])),
    ...(tableEntries > 0 ? [[...name('table'), 0x01, 0x00]] : []),
  ]);
  section(
    10,
    funcs.map(f => {
      const body: number[] = [...uleb(f.locals?.length ?? 0)];
      for (const type of f.locals ?? []) body.push(1, TYPE_CODE[type]);
      flatten(f.body, body, [undefined], functions);
      body.push(0x0b);
      return uleb(body.length).concat(body);
    }),
  );
  return Uint8Array.from(out);
}
