/**
 * The head of a body as it is read: the order of events, their ticks, processors and causes (codec.ts draws it). Each part is
 * decoded when it is first asked for; who folds wants neither ticks nor causes, and of a whole chunk often not even the order.
 */
import { Trouble } from '../base/trouble.js';
import { type Bytes, Scratch } from './bytes.js';
import { decodeColumn, skipColumn } from './column-decode.js';

const WORD = 2 ** 32;
/** No kind has this number here. */
const UNKNOWN = 255;
const scratch = { kinds: new Scratch(), low: new Scratch(), high: new Scratch(), places: new Scratch() };

/** The order of events: of what kind each is, and which of its kind. */
export interface Order {
  readonly kind: Uint8Array;
  readonly row: Uint16Array;
}

export interface HeadOptions {
  /** Of event 0. */
  readonly first: number;
  readonly count: number;
  /** Rows by number here, and for each number in the file the number here. */
  readonly rows: Uint32Array;
  readonly kindHere: Uint8Array;
  /** The kinds of the body's table, by their number here. */
  readonly table: Uint8Array;
  /** Every cause must be an event of the recording. */
  readonly causes: boolean;
  /** What ticks must begin and end with, if that is known. */
  readonly ticks: readonly [first: number, last: number] | undefined;
}

export class Head {
  private readonly from: Bytes;
  private readonly options: HeadOptions;
  private readonly start: number;
  /** Where the columns after `kind` begin, as far as that is known. */
  private ticksAt = -1;
  private vcpuAt = -1;
  private causesAt = -1;

  /** @param from all of the head, and nothing else */
  constructor(from: Bytes, options: HeadOptions) {
    this.from = from;
    this.options = options;
    this.start = from.at;
  }

  private at(place: number): Bytes {
    this.from.at = place;
    return this.from;
  }

  order(): Order {
    const { count, kindHere, rows } = this.options;
    const kinds = scratch.kinds.of(count).subarray(0, count);
    const from = this.at(this.start + 8);
    decodeColumn(from, kinds);
    this.ticksAt = from.at;
    const kind = new Uint8Array(count);
    const row = new Uint16Array(count);
    const seen = new Int32Array(256);
    const here = new Uint8Array(256).fill(UNKNOWN);
    here.set(kindHere);
    if (place(kinds, here, kind, row, seen) > 255) throw new Trouble('an event of an unknown kind');
    if (seen[UNKNOWN]! > 0) throw new Trouble(`an event of the unknown kind ${kinds[kind.indexOf(UNKNOWN)]}`);
    if (rows.some((n, k) => n !== seen[k])) throw new Trouble('its table of kinds does not fit its events');
    return { kind, row };
  }
  private toTicks(): Bytes {
    if (this.ticksAt >= 0) return this.at(this.ticksAt);
    const from = this.at(this.start + 8);
    skipColumn(from, this.options.count, 4);
    this.ticksAt = from.at;
    return from;
  }

  ticks(): Float64Array {
    const { count, ticks: must } = this.options;
    const start = this.at(this.start).f64();
    const from = this.toTicks();
    const low = scratch.low.of(count).subarray(0, count);
    const high = scratch.high.of(count).subarray(0, count);
    decodeColumn(from, low);
    decodeColumn(from, high);
    this.vcpuAt = from.at;
    const ticks = new Float64Array(count);
    let now = start;
    for (let i = 0; i < count; i++) ticks[i] = now += low[i]! + high[i]! * WORD;
    if (!(start >= 0 && now <= Number.MAX_SAFE_INTEGER && Number.isInteger(start)))
      throw new Trouble('ticks out of range');
    if (must && (ticks[0] !== must[0] || now !== must[1]))
      throw new Trouble('ticks that are not what its envelope says');
    return ticks;
  }
  private toVcpu(): Bytes {
    if (this.vcpuAt >= 0) return this.at(this.vcpuAt);
    const from = this.toTicks();
    for (let n = 0; n < 2; n++) skipColumn(from, this.options.count, 4);
    this.vcpuAt = from.at;
    return from;
  }

  vcpu(): Uint8Array {
    const from = this.toVcpu();
    const vcpu = new Uint8Array(this.options.count);
    decodeColumn(from, vcpu);
    this.causesAt = from.at;
    return vcpu;
  }

  /** For each event the distance to its cause, 0 for none. */
  back({ kind: kinds }: Order): Uint32Array {
    const { table, first, count } = this.options;
    if (this.causesAt < 0) {
      skipColumn(this.toVcpu(), count, 1);
      this.causesAt = this.from.at;
    }
    const from = this.at(this.causesAt);
    const back = decodeCauses(from, kinds, table);
    if (from.at !== from.end) throw new Trouble(`${from.end - from.at} bytes too many in its head`);
    if (this.options.causes)
      for (let i = 0; i < count; i++)
        if (back[i]! > first + i) throw new Trouble(`event ${first + i} has a cause before the start`);
    return back;
  }
}

/** Sets the kind and row of each event, and counts kinds. Returns all numbers of kinds, or-ed. */
function place(kinds: Uint32Array, here: Uint8Array, kind: Uint8Array, row: Uint16Array, seen: Int32Array): number {
  let all = 0;
  let i = 0;
  for (const even = kinds.length & ~1; i < even; i += 2) {
    const number = kinds[i]!;
    const next = kinds[i + 1]!;
    all |= number | next;
    const k = here[number & 255]!;
    kind[i] = k;
    row[i] = seen[k]!++;
    const l = here[next & 255]!;
    kind[i + 1] = l;
    row[i + 1] = seen[l]!++;
  }
  if (i === kinds.length) return all >>> 0;
  const k = here[kinds[i]! & 255]!;
  kind[i] = k;
  row[i] = seen[k]!++;
  return (all | kinds[i]!) >>> 0;
}

/** For each event the distance to its cause, 0 for none. @param table the kinds of the body's table, by their number here */
function decodeCauses(from: Bytes, kinds: Uint8Array, table: Uint8Array): Uint32Array {
  const back = new Uint32Array(kinds.length);
  const flags = new Uint8Array(table.length);
  decodeColumn(from, flags);
  const caused = new Uint8Array(256);
  table.forEach((kind, n) => {
    caused[kind] = flags[n] === 0 ? 0 : 1;
  });
  // Where the events of those kinds are. Whether the next is one is not asked, since nobody could foretell it.
  const places = scratch.places.of(kinds.length + 1);
  let events = 0;
  for (let i = 0; i < kinds.length; i++) {
    places[events] = i;
    events += caused[kinds[i]!]!;
  }
  const runs = from.u32();
  if (runs > events) throw new Trouble(`${runs} runs of causes in ${events} events`);
  const lengths = scratch.low.of(runs).subarray(0, runs);
  const several = runs === 0 ? events : runs;
  const distances = scratch.high.of(several).subarray(0, several);
  decodeColumn(from, lengths);
  decodeColumn(from, distances);
  if (runs === 0) {
    for (let n = 0; n < events; n++) back[places[n]!] = distances[n]!;
    return back;
  }
  if (lengths.reduce((sum, n) => sum + n, 0) !== events) throw new Trouble('its runs of causes do not fit its events');
  for (let run = 0, n = 0; run < runs; run++) {
    const end = n + lengths[run]!;
    const cause = places[n]! - distances[run]!;
    if (distances[run] === 0) n = end;
    else for (; n < end; n++) back[places[n]!] = places[n]! - cause;
  }
  return back;
}
