/**
 * The back ends a domain finds without asking: the console and xenstore, each a page with two rings and a port. What the
 * guest puts into a ring is taken out at once, when it says so.
 *
 *   console page   0 in[1024]   0x400 out[2048]   0xc00 in_cons, in_prod, out_cons, out_prod      public/io/console.h
 *   store page     0 req[1024]  0x400 rsp[1024]   0x800 req_cons, req_prod, rsp_cons, rsp_prod    public/io/xs_wire.h
 *
 * Producer and consumer count bytes, modulo 2^32; a ring holds no more than its size, whatever a guest writes there.
 */
import { asFrame, type Frame, paddrOf } from '../../../../base/brand.js';
import type { Xen } from '../xen.js';
import { raise } from './evtchn.js';
import { answer, type Request } from './xenstore.js';

export type Device = 'console' | 'xenstore';
export interface Page {
  readonly mfn: number;
  readonly port: number;
}

interface Ring {
  readonly at: number;
  readonly bytes: number;
  readonly consumer: number;
  readonly producer: number;
}
const CONSOLE_OUT: Ring = { at: 0x400, bytes: 2048, consumer: 0xc08, producer: 0xc0c };
const CONSOLE_IN: Ring = { at: 0, bytes: 1024, consumer: 0xc00, producer: 0xc04 };
const STORE_REQUESTS: Ring = { at: 0, bytes: 1024, consumer: 0x800, producer: 0x804 };
const STORE_ANSWERS: Ring = { at: 0x400, bytes: 1024, consumer: 0x808, producer: 0x80c };
const HEADER_BYTES = 16;
/** XENSTORE_PAYLOAD_MAX. */
const PAYLOAD_MAX = 4096;

const word = (xen: Xen, page: Frame, offset: number): number => Number(xen.memory.read(paddrOf(page, offset), 4));
const setWord = (xen: Xen, page: Frame, offset: number, value: number): void =>
  xen.memory.hostStore(paddrOf(page, offset), 4, BigInt(value >>> 0));

/** Takes everything out of a ring; undefined where the guest's counts make no sense. */
function take(xen: Xen, page: Frame, ring: Ring): Uint8Array | undefined {
  const [from, to] = [word(xen, page, ring.consumer), word(xen, page, ring.producer)];
  const count = (to - from) >>> 0;
  if (count > ring.bytes) return undefined;
  const data = new Uint8Array(count);
  for (let n = 0; n < count; n++)
    data[n] = Number(xen.memory.read(paddrOf(page, ring.at + (((from + n) >>> 0) % ring.bytes)), 1));
  setWord(xen, page, ring.consumer, to);
  return data;
}
/** Puts as much into a ring as there is room for; returns how much that was. */
function give(xen: Xen, page: Frame, ring: Ring, data: Uint8Array): number {
  const [from, to] = [word(xen, page, ring.consumer), word(xen, page, ring.producer)];
  const used = (to - from) >>> 0;
  if (used > ring.bytes) return 0;
  const count = Math.min(data.length, ring.bytes - used);
  for (let n = 0; n < count; n++)
    xen.memory.hostStore(paddrOf(page, ring.at + (((to + n) >>> 0) % ring.bytes)), 1, BigInt(data[n]!));
  setWord(xen, page, ring.producer, (to + count) >>> 0);
  return count;
}

/** The guest sent an event to a back end. */
export function notified(xen: Xen, device: Device): void {
  const { mfn, port } = xen.io[device];
  const page = asFrame(mfn);
  if (device === 'console') {
    const text = take(xen, page, CONSOLE_OUT);
    if (text === undefined || text.length === 0) return;
    xen.write(text);
    raise(xen, port); // there is room again
    return;
  }
  const data = take(xen, page, STORE_REQUESTS);
  if (data === undefined || data.length === 0) {
    flushStore(xen);
    return;
  }
  const { store } = xen.io;
  store.input = Buffer.concat([Buffer.from(store.input, 'latin1'), data]).toString('latin1');
  for (let request = nextRequest(xen); request; request = nextRequest(xen)) answer(xen, request);
  flushStore(xen);
  raise(xen, port);
}
/** The next whole request, taken out of what came so far. One that is too long ends the connection, as in life. */
function nextRequest(xen: Xen): Request | undefined {
  const { store } = xen.io;
  const input = Buffer.from(store.input, 'latin1');
  if (input.length < HEADER_BYTES) return undefined;
  const length = input.readUInt32LE(12);
  if (length > PAYLOAD_MAX) {
    store.input = '';
    return undefined;
  }
  if (input.length < HEADER_BYTES + length) return undefined;
  store.input = input.subarray(HEADER_BYTES + length).toString('latin1');
  const body = input.subarray(HEADER_BYTES, HEADER_BYTES + length).toString('latin1');
  return { type: input.readUInt32LE(0), id: input.readUInt32LE(4), transaction: input.readUInt32LE(8), body };
}
/** Puts what the store has to say into its ring, as far as there is room. */
function flushStore(xen: Xen): void {
  const { store } = xen.io;
  const given = give(xen, asFrame(xen.io.xenstore.mfn), STORE_ANSWERS, Buffer.from(store.output, 'latin1'));
  store.output = store.output.slice(given);
}
/** Bytes that were typed into the console and not read yet; all there is room for where the counts make no sense. */
export function unread(xen: Xen): number {
  const page = asFrame(xen.io.console.mfn);
  const count = (word(xen, page, CONSOLE_IN.producer) - word(xen, page, CONSOLE_IN.consumer)) >>> 0;
  return Math.min(count, CONSOLE_IN.bytes);
}
export const CONSOLE_ROOM = CONSOLE_IN.bytes;
/** Somebody types, one character a byte, no more than there is room for. */
export function typeText(xen: Xen, text: string): void {
  const { console: page } = xen.io;
  xen.tell({ kind: 'input', text });
  give(xen, asFrame(page.mfn), CONSOLE_IN, Buffer.from(text, 'latin1'));
  raise(xen, page.port);
}
/**
 * The guest waits: a patient typist types the next line, once the one before was read. False when there is nothing to type,
 * or the guest does not read.
 */
export function typeLine(xen: Xen): boolean {
  const { typing } = xen.io;
  if (typing === '' || unread(xen) > 0) return false;
  const end = typing.indexOf('\n');
  const line = typing.slice(0, Math.min(end < 0 ? typing.length : end + 1, CONSOLE_IN.bytes));
  xen.io.typing = typing.slice(line.length);
  typeText(xen, line);
  return true;
}
