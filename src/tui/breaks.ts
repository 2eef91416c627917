/**
 * Where to stop, as people write it. Each is a question about one event, so running to the next one, forwards or
 * backwards, is a search; conditions over state are asked of the events that can make them true.
 */
import { asVaddr, type Frame } from '../base/brand.js';
import { u64 } from '../base/u64.js';
import { type Block, eventAt } from '../events/block.js';
import { type Event, KIND, KIND_NAMES, type KindName } from '../events/kinds.js';
import { wordOf } from '../events/lexicon.js';
import { lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';
import type { Match } from '../state/find.js';
import { formatOf, isaOfSource } from '../state/formats.js';
import { symbolAt } from '../views/symbols.js';

type Stop = Match & { readonly kinds: readonly KindName[] };
/** How a break is written: its pattern, what to say of it, what it means or why it means nothing here. */
interface Form {
  readonly like: RegExp;
  readonly says: string;
  make(words: readonly string[], source: Source): Stop | string;
}

export const FORMS: readonly Form[] = [
  {
    like: /^(\w+)\s*={1,2}\s*(?:0x)?([\da-f]{1,16})$/i,
    says: 'rax = 1f: a register comes to have this value',
    make: ([name = '', value = ''], source) => registerIs(name.toLowerCase(), BigInt(`0x${value}`), source),
  },
  {
    like: /^frame\s+(?:0x)?([\da-f]{1,8})\s+(?:becomes\s+|is\s+)?(\w+)$/i,
    says: 'frame 6a9 writable: a frame becomes this type; writable: or an entry comes to map it so',
    make: ([frame = '', word = ''], source) => frameBecomes(Number(`0x${frame}`) as Frame, word.toLowerCase(), source),
  },
  {
    like: /^in\s+(\S+)$/,
    says: 'in set_pte: the guest is in this function, or was called from it',
    make: ([name = ''], source) => inFunction(name, source),
  },
  {
    like: /^at\s+(?:0x)?([\da-f]{1,16})$/i,
    says: 'at 602000: the guest is at this address, faults on it or stores to it',
    make: ([at = ''], source) => atAddress(BigInt(`0x${at}`), source),
  },
  {
    like: /^slot\s+(?:0x)?([\da-f]{1,13})$/i,
    says: 'slot 7afe0: the page-table entry at this physical address is written',
    make: ([at = '']) => slotWritten(Number(`0x${at}`)),
  },
  {
    like: /^(\w+)(?:\s+(.*))?$/,
    says: `pte path=store: an event of this kind, with these words; kinds: ${KIND_NAMES.join(' ')}`,
    make: ([kind = '', words = ''], source) => ofKind(kind, words.toLowerCase().split(/\s+/).filter(Boolean), source),
  },
];

/** What a break stops at, or why the text is none. */
export function parseBreak(text: string, source: Source): Stop | string {
  for (const { like, make } of FORMS) {
    const found = like.exec(text.trim());
    if (found) return make(found.slice(1), source);
  }
  return `not a break: ${text}`;
}
/** A search for any of them; those that mean nothing in this recording never stop. */
export function anyOf(breaks: readonly string[], source: Source): Match {
  const stops = breaks.map(text => parseBreak(text, source)).filter(stop => typeof stop !== 'string');
  const byKind = KIND_NAMES.map(name => stops.filter(s => s.kinds.includes(name)));
  return {
    kinds: [...new Set(stops.flatMap(s => s.kinds))],
    where: (block, i) => byKind[block.kind[i]!]!.some(s => s.where?.(block, i) ?? true),
  };
}
/** Which of them an event is. */
export const stopsAt = (breaks: readonly string[], source: Source, block: Block, i: number): string | undefined =>
  breaks.find(text => {
    const stop = parseBreak(text, source);
    if (typeof stop === 'string' || !stop.kinds.some(kind => KIND[kind] === block.kind[i])) return false;
    return stop.where?.(block, i) ?? true;
  });

function registerIs(name: string, value: bigint, source: Source): Stop | string {
  const registers = isaOfSource(source)?.registers ?? [];
  const number = registers.findIndex(r => r?.name === name);
  if (number < 0) return `no register is called ${name}`;
  return { kinds: ['regs'], where: (block, i) => registerSet(block, i, number) === value };
}
/** The value that a regs event gives a register, if it does. */
function registerSet(block: Block, i: number, number: number): bigint | undefined {
  const [row, c] = [block.row[i]!, block.col.regs];
  const mask = u64(c.maskLo[row]!, c.maskHi[row]!);
  if (((mask >> BigInt(number)) & 1n) === 0n) return undefined;
  let item = row === 0 ? 0 : c.valuesEnd[row - 1]!;
  for (let r = 0; r < number; r++) if ((mask >> BigInt(r)) & 1n) item++;
  return u64(c.valuesLo[item]!, c.valuesHi[item]!);
}

function frameBecomes(frame: Frame, word: string, source: Source): Stop | string {
  const types = source.lexicon.words.frameType ?? [];
  const mapped = word === 'writable';
  if (!mapped && !types.includes(word)) return `no type of frame is called ${word}; there is ${types.join(' ')}`;
  return {
    kinds: mapped ? ['type', 'pte', 'adopt'] : ['type'],
    where: (block, i) => {
      const e = eventAt(block, i);
      if (e.kind === 'type') return e.frame === frame && wordOf(source.lexicon, 'frameType', e.new) === word;
      if (e.kind === 'pte') return mapsWritable(source, e, e.new, frame) && !mapsWritable(source, e, e.old, frame);
      return e.kind === 'adopt' && e.entries.some(entry => mapsWritable(source, e, entry, frame));
    },
  };
}
type Table = Extract<Event, { kind: 'pte' | 'adopt' }>;
function mapsWritable(source: Source, { space, level }: Table, value: bigint, frame: Frame): boolean {
  if (value === 0n) return false;
  const entry = formatOf(source, space)
    ?.levels.find(l => l.number === level)
    ?.decode(value);
  if (entry?.kind !== 'leaf' || !entry.flags.write) return false;
  const first = Math.floor(entry.at / 4096);
  return frame >= first && frame < first + Math.max(1, entry.bytes / 4096);
}

function inFunction(name: string, source: Source): Stop | string {
  if (!source.symbols.some(s => s.name === name)) {
    const near = source.symbols.filter(s => s.name.includes(name)).slice(0, 8);
    return `no function is called ${name}${near.length > 0 ? `; there is ${near.map(s => s.name).join(' ')}` : ''}`;
  }
  const pc = isaOfSource(source)?.roles.pc ?? -1;
  const within = (at: bigint): boolean => symbolAt(source.symbols, asVaddr(at))?.name === name;
  return {
    kinds: ['regs', 'pte', 'trap', 'call', 'entry'],
    where: (block, i) => {
      if (block.kind[i] === KIND.regs) {
        const at = registerSet(block, i, pc);
        return at !== undefined && within(at);
      }
      const e = eventAt(block, i);
      return 'stack' in e && source.stack(e.stack).some(within);
    },
  };
}
function atAddress(at: bigint, source: Source): Stop {
  const pc = isaOfSource(source)?.roles.pc ?? -1;
  return {
    kinds: ['regs', 'trap', 'store'],
    where: (block, i) => {
      if (block.kind[i] === KIND.regs) return registerSet(block, i, pc) === at;
      const e = eventAt(block, i);
      if (e.kind === 'trap') return e.at === at || e.pc === at;
      return e.kind === 'store' && at >= e.at && at < e.at + BigInt(e.bytes);
    },
  };
}
function slotWritten(at: number): Stop {
  return {
    kinds: ['pte', 'adopt', 'release'],
    where: (block, i) => {
      const e = eventAt(block, i);
      if (e.kind !== 'pte' && e.kind !== 'adopt' && e.kind !== 'release') return false;
      const first = e.table * 4096 + e.offset;
      return at >= first && at < first + e.bytes * (e.kind === 'pte' ? 1 : e.entries.length);
    },
  };
}
function ofKind(kind: string, words: readonly string[], source: Source): Stop | string {
  const name = KIND_NAMES.find(k => k === kind);
  if (!name) return `${kind} is no kind of event: ${KIND_NAMES.join(' ')}`;
  if (words.length === 0) return { kinds: [name] };
  return {
    kinds: [name],
    where: (block, i) => {
      const text = lineOf(eventAt(block, i), source.lexicon).toLowerCase();
      return words.every(word => text.includes(word));
    },
  };
}
