/** What the bare host keeps with a checkpoint, as JSON: it is small, and a text can be read when something is wrong. */
import { Trouble } from '../../../base/trouble.js';
import { X86_64 } from '../../../isa/x86_64.js';
import type { SavedTable } from './tables.js';

export interface SavedBare {
  readonly tables: { readonly loaded: number; readonly tables: readonly SavedTable[] };
  /** Registers as last told, by number: low word, high word. */
  readonly registers: readonly number[];
  readonly code: readonly (readonly [from: number, to: number])[];
  readonly line: string;
  readonly causes: readonly number[];
  readonly stuck: { readonly ticks: number; readonly traps: number };
}

export const encode = (saved: SavedBare): Uint8Array => Buffer.from(JSON.stringify(saved), 'latin1');

/**
 * @param frames how many frames the machine has
 * @throws Trouble when the bytes are not what `encode` makes for such a machine
 */
export function decode(bytes: Uint8Array, frames: number): SavedBare {
  let saved: Partial<SavedBare> | null;
  try {
    saved = JSON.parse(Buffer.from(bytes).toString('latin1')) as Partial<SavedBare> | null;
  } catch {
    saved = null;
  }
  const bad = (what: string): never => {
    throw new Trouble(`checkpoint: the host's state is damaged: ${what}`);
  };
  if (typeof saved !== 'object' || saved === null) return bad('no JSON');
  const { tables, registers, code, line, causes, stuck } = saved;
  const whole = (n: unknown, from: number, end: number): boolean =>
    Number.isInteger(n) && (n as number) >= from && (n as number) < end;
  const rows = (list: unknown, length: number): list is number[][] =>
    Array.isArray(list) && list.every(row => Array.isArray(row) && row.length === length);
  if (!tables || !whole(tables.loaded, -1, frames) || !rows(tables.tables, 3)) return bad('tables');
  const seen = new Set<number>();
  for (const [frame, level, root] of tables.tables as number[][]) {
    if (!whole(frame, 0, frames) || !whole(level, 1, 5) || !whole(root, 0, 2) || seen.has(frame!))
      return bad('a table');
    seen.add(frame!);
  }
  if (tables.loaded >= 0 && !seen.has(tables.loaded)) return bad('the root');
  if (!Array.isArray(registers) || registers.length !== 2 * X86_64.registers.length) return bad('registers');
  if (!registers.every(word => whole(word, 0, 2 ** 32))) return bad('a register');
  if (!rows(code, 2) || !code.flat().every(n => whole(n, 0, 2 ** 53))) return bad('code ranges');
  if (typeof line !== 'string' || line.length > 4096) return bad('the console');
  if (!Array.isArray(causes) || !causes.every(seq => whole(seq, 0, 2 ** 53))) return bad('causes');
  if (!stuck || !whole(stuck.ticks, -1, 2 ** 53) || !whole(stuck.traps, 0, 2 ** 31)) return bad('traps');
  return saved as SavedBare;
}
