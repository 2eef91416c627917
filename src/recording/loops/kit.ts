/**
 * What the loops over columns are written with. They are WebAssembly: a new process has no time to learn, and a worker that
 * writes has none to spare. The same loops in TypeScript took twice the time once compiled, and their compiling took a tenth
 * of a recording of ten million events.
 *
 * A routine is a function of addresses and numbers, all i32. Behind n values there is room for 16 bytes more (room.ts), so
 * a loop may take four values a turn and never asks how many are left; what it reads or writes there means nothing.
 */
import {
  block,
  br,
  brIf,
  type Code,
  type Func,
  get,
  i32,
  type Local,
  label,
  loop,
  set,
  type ValueType,
} from '../../base/wasm.js';

const c = i32.const;
type Locals = Readonly<Record<string, ValueType>>;
type Names<P extends string, V extends Locals> = Readonly<Record<P | (keyof V & string), Local>>;

/** Written when it is first wanted: who only reads wants none. */
export type Routine = () => Func;

/** A function that is exported by its name. @param body gets parameters and locals by name */
export function routine<P extends string, V extends Locals>(
  name: string,
  params: readonly P[],
  locals: V,
  body: (names: Names<P, V>) => Code,
  result?: ValueType,
): Routine {
  return () => {
    const all = [...params.map(p => [p, 'i32'] as const), ...Object.entries(locals)];
    const names = Object.fromEntries(all.map(([key, type], index) => [key, { index, type }])) as unknown as Names<P, V>;
    return {
      name,
      params: params.map(() => 'i32' as const),
      locals: Object.values(locals),
      body: body(names),
      exported: true,
      ...(result ? { result } : {}),
    };
  };
}

/** Does `body` again and again, as long as the condition holds. */
export const whileTrue = (condition: Code, body: Code): Code => {
  const [top, done] = [label('top'), label('done')];
  return block(done, loop(top, [brIf(done, i32.eqz(condition)), body, br(top)]));
};
/** Does `body` with i = from, from + step, ... as long as it is below `end`. */
export const each = (i: Local, from: Code, end: Code, step: number, body: Code): Code => [
  set(i, from),
  whileTrue(i32.ltU(get(i), end), [body, increase(i, c(step))]),
];

/** The address of element i, of 2^shift bytes. */
export const at = (base: Local, i: Local, shift = 0): Code =>
  i32.add(get(base), shift === 0 ? get(i) : i32.shl(get(i), i32.const(shift)));

/** Adds to a local. */
export const increase = (v: Local, by: Code): Code => set(v, i32.add(get(v), by));
