/**
 * Helper functions that a region may call: those that only compute, from arguments and registers at addresses that are known.
 * The region has registers in locals, so it puts back what the function reads before the call.
 */
import type { Code, Func } from '../../../base/wasm.js';
import { accessOf, constantOf, isSlot } from './specialise.js';

export interface Helper {
  /** Addresses of the registers it reads. */
  readonly reads: readonly number[];
  /** Itself, and the functions it calls. */
  readonly needs: readonly Func[];
}
/** By name; undefined for a function that a region may not call. */
export type Callable = (name: string) => Helper | undefined;

/** Judges these functions, each when it is first asked for. */
export function callableOf(functions: readonly Func[]): Callable {
  const byName = new Map(functions.map(f => [f.name, f]));
  const known = new Map<string, Helper | undefined>();
  const judge = (name: string): Helper | undefined => {
    if (known.has(name)) return known.get(name);
    known.set(name, undefined); // what calls itself is none
    const func = byName.get(name);
    if (!func) return undefined;
    const reads = new Set<number>();
    const needs = new Set([func]);
    const fits = (code: Code): boolean => {
      if (typeof code === 'number') return true;
      if ('node' in code) {
        if (code.node === 'block') return fits(code.body) && (code.otherwise === undefined || fits(code.otherwise));
        if (code.node !== 'call') return code.node !== 'indirect';
        const inner = judge(code.name);
        for (const at of inner?.reads ?? []) reads.add(at);
        for (const needed of inner?.needs ?? []) needs.add(needed);
        return inner !== undefined;
      }
      const access = accessOf(code);
      if (!access) return code.every(fits);
      const base = constantOf(code[0]!);
      if (code.length !== 4 || base === undefined || !isSlot(base + access.offset)) return false;
      reads.add((base + access.offset) & ~7);
      return true;
    };
    if (fits(func.body)) known.set(name, { reads: [...reads], needs: [...needs] });
    return known.get(name);
  };
  return judge;
}
