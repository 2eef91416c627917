/** Events as people and programs read them: one line of text, one object of JSON. Both derive from the schema. */
import { hex } from '../base/u64.js';
import { type Event, KINDS, NO_FRAME } from './kinds.js';
import { callName, type Lexicon, registerName, wordOf } from './lexicon.js';
import type { AnyField } from './schema.js';

/** Version of the JSON form of events and views; changes when a field changes its name or meaning. */
export const JSON_VERSION = 1;

/** Guest bytes as printable text: control characters and bytes above 7e become \xNN, so that nothing reaches a terminal. */
export const harmless = (s: string): string =>
  s.replace(/[^\x20-\x7e]/g, c =>
    c === '\n'
      ? '\\n'
      : c === '\r'
        ? '\\r'
        : c === '\t'
          ? '\\t'
          : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );

const LIST_SHOWN = 8;

/** One field as text. Long lists are cut, with how many more there are. */
export function fieldText(f: AnyField, v: unknown, lexicon: Lexicon): string {
  switch (f.show) {
    case 'flag':
      return v ? 'yes' : 'no';
    case 'word':
      return wordOf(lexicon, f.table!, v as number);
    case 'text':
      return `"${harmless(v as string)}"`;
    case 'hex':
      if (Array.isArray(v))
        return `[${v.slice(0, LIST_SHOWN).map(hex).join(' ')}${v.length > LIST_SHOWN ? ` +${v.length - LIST_SHOWN}` : ''}]`;
      return v === NO_FRAME ? 'none' : hex(v as bigint | number);
    default:
      return String(v);
  }
}

/** An event as people read it: its fields; of registers, which and what; of a result, an error by its number. Without seq and ticks. */
export function eventText(e: Event, lexicon: Lexicon): string {
  if (e.kind === 'regs' || e.kind === 'step') return `${e.kind} ${registersText(e.mask, e.values, lexicon)}`;
  if (e.kind === 'result') return `result value=${statusText(e.value)}`;
  return fieldsText(e, lexicon);
}
/** The fields of an event as `name=value`, an old and a new value as `old -> new`. Without seq and ticks. */
export function fieldsText(e: Event, lexicon: Lexicon): string {
  const fields = KINDS[e.kind].fields as Record<string, AnyField>;
  const value = (name: string): string =>
    fieldText(fields[name]!, (e as unknown as Record<string, unknown>)[name], lexicon);
  const parts: string[] = [];
  for (const [name, f] of Object.entries(fields)) {
    if (
      f.shape === 'derived' ||
      name === 'old' ||
      (f.show === 'stack' && (e as unknown as Record<string, unknown>)[name] === 0)
    )
      continue;
    if (name === 'number' && 'class' in fields)
      parts.push(callName(lexicon, (e as { class: number }).class, (e as { number: number }).number));
    else if (name === 'class' && 'number' in fields) continue;
    else if (name === 'new' && 'old' in fields) parts.push(`${value('old')} -> ${value('new')}`);
    else parts.push(`${name}=${value(name)}`);
  }
  return `${e.kind} ${parts.join(' ')}`;
}

const REGISTERS_SHOWN = 20;
/** `rax=1a rip=ffffffff80100323`: bit n of the mask says that a value of register n is in the list. */
function registersText(mask: bigint, values: readonly bigint[], lexicon: Lexicon): string {
  const parts: string[] = [];
  for (let n = 0; mask >> BigInt(n); n++)
    if ((mask >> BigInt(n)) & 1n) parts.push(`${registerName(lexicon, n)}=${hex(values[parts.length] ?? 0n)}`);
  const more = parts.length - REGISTERS_SHOWN;
  return parts.slice(0, REGISTERS_SHOWN).join(' ') + (more > 0 ? ` +${more}` : '');
}
const ERRNO_MAX = 4095n;
/** What a call answered: an error as kernels write it, -22, and anything else as other values. */
function statusText(value: bigint): string {
  const signed = BigInt.asIntN(64, value);
  return signed < 0n && signed >= -ERRNO_MAX ? String(signed) : hex(value);
}

/** One line: `#48211 @12345678 pte ... <#48200`, the last being the cause. */
export const lineOf = (e: Event, lexicon: Lexicon): string =>
  `#${e.seq} @${e.ticks} ${e.vcpu ? `cpu${e.vcpu} ` : ''}${eventText(e, lexicon)}${e.cause >= 0 ? ` <#${e.cause}` : ''}`;

/** A plain object for JSON: u64 values as "0x..." strings, since JSON's numbers end at 2^53; words by name. */
export function eventJson(e: Event, lexicon: Lexicon): Record<string, unknown> {
  const json = (f: AnyField, v: unknown): unknown => {
    if (typeof v === 'bigint') return `0x${hex(v)}`;
    if (Array.isArray(v)) return v.map(x => `0x${hex(x as bigint)}`);
    return f.show === 'word' ? wordOf(lexicon, f.table!, v as number) : v === NO_FRAME && f.show === 'hex' ? null : v;
  };
  const out: Record<string, unknown> = {
    v: JSON_VERSION,
    kind: e.kind,
    seq: e.seq,
    ticks: e.ticks,
    vcpu: e.vcpu,
    cause: e.cause < 0 ? null : e.cause,
  };
  for (const [name, f] of Object.entries(KINDS[e.kind].fields as Record<string, AnyField>))
    out[name] = json(f, (e as unknown as Record<string, unknown>)[name]);
  if ('number' in e) out.name = callName(lexicon, e.class, e.number);
  return out;
}
