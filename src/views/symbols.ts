/** Addresses as people know them: the nearest symbol and how far past it. */
import type { Vaddr } from '../base/brand.js';
import { hex } from '../base/u64.js';
import type { Source } from '../recording/source.js';

type Symbols = Source['symbols'];
export interface Located {
  readonly name: string;
  readonly offset: number;
}

/** No symbol claims an address further away than this, if its size is not known. */
const REACH = 1 << 20;
const sorted = new WeakMap<Symbols, Symbols>();

/** Symbols by address; sorted once for each list. */
function byAddress(symbols: Symbols): Symbols {
  let list = sorted.get(symbols);
  if (!list) {
    list = [...symbols].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    sorted.set(symbols, list);
  }
  return list;
}

/** The symbol that holds `at`, or the nearest below it when none says how long it is; undefined if there is none near. */
export function symbolAt(symbols: Symbols, at: Vaddr): Located | undefined {
  const list = byAddress(symbols);
  let lo = 0;
  let hi = list.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (list[mid]!.at <= at) lo = mid + 1;
    else hi = mid;
  }
  const found = list[lo - 1];
  if (!found) return undefined;
  const offset = at - found.at;
  return offset < BigInt(found.bytes > 0 ? found.bytes : REACH)
    ? { name: found.name, offset: Number(offset) }
    : undefined;
}

/** `set_pte+1a`, or the address in hex where no symbol is near. */
export function symbolText(symbols: Symbols, at: Vaddr): string {
  const found = symbolAt(symbols, at);
  return found ? `${found.name}${found.offset > 0 ? `+${hex(found.offset)}` : ''}` : hex(at);
}

export interface StackLine {
  readonly at: Vaddr;
  readonly text: string;
}
/** A recorded stack with names, innermost first; empty for none. */
export const stackOf = (source: Source, id: number): StackLine[] =>
  id === 0 ? [] : source.stack(id).map(at => ({ at, text: symbolText(source.symbols, at) }));
