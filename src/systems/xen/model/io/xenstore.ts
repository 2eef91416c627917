/**
 * A xenstore with nothing in it: enough that a guest which looks for devices finds that there are none, and does not wait.
 * Reads answer ENOENT, watches fire once when they are set, as in life; writes are accepted and forgotten.
 *
 *   message   u32 type, u32 id, u32 transaction, u32 length, then so many bytes       (public/io/xs_wire.h)
 */
import type { Xen } from '../xen.js';

export interface Request {
  readonly type: number;
  readonly id: number;
  readonly transaction: number;
  readonly body: string;
}
/** What was received and not yet understood, and what was not yet fetched by the guest; one character a byte. */
export interface Store {
  input: string;
  output: string;
}
/** As much as waits for the guest to fetch it. */
const OUTPUT_MAX = 65_536;

const TYPE = {
  directory: 1,
  read: 2,
  getPerms: 3,
  watch: 4,
  unwatch: 5,
  transactionStart: 6,
  transactionEnd: 7,
  getDomainPath: 10,
  write: 11,
  mkdir: 12,
  rm: 13,
  setPerms: 14,
  watchEvent: 15,
  error: 16,
} as const;
const OK = 'OK\0';
const ABSENT = 'ENOENT\0';
const DONE: ReadonlySet<number> = new Set([
  TYPE.unwatch,
  TYPE.transactionEnd,
  TYPE.write,
  TYPE.mkdir,
  TYPE.rm,
  TYPE.setPerms,
]);
const MISSING: ReadonlySet<number> = new Set([TYPE.directory, TYPE.read, TYPE.getPerms]);

/** Answers one request. */
export function answer(xen: Xen, { type, id, transaction, body }: Request): void {
  if (DONE.has(type)) say(xen, type, id, transaction, OK);
  else if (MISSING.has(type)) say(xen, TYPE.error, id, transaction, ABSENT);
  else if (type === TYPE.transactionStart) say(xen, type, id, transaction, '1\0');
  else if (type === TYPE.getDomainPath) say(xen, type, id, transaction, `/local/domain/${xen.id}\0`);
  else if (type === TYPE.watch) {
    say(xen, type, id, transaction, OK);
    say(xen, TYPE.watchEvent, 0, 0, body); // path and token, as they were given
  } else say(xen, TYPE.error, id, transaction, 'ENOSYS\0');
}
function say({ io: { store } }: Xen, type: number, id: number, transaction: number, body: string): void {
  const header = Buffer.alloc(16);
  [type, id, transaction, body.length].forEach((value, n) => {
    header.writeUInt32LE(value >>> 0, 4 * n);
  });
  if (store.output.length + header.length + body.length <= OUTPUT_MAX) store.output += header.toString('latin1') + body;
}
