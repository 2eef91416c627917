/**
 * What the host keeps with a checkpoint, as JSON: it is small, and a text can be read when something is wrong. A bigint is
 * the text "0x...n". What comes back out of a file may be anything, so it is looked at before it is used.
 */

import { PAGE_BYTES } from '../../../base/brand.js';
import { Trouble } from '../../../base/trouble.js';
import { X86_64 } from '../../../isa/x86_64.js';
import type { LinuxFacts, Task } from '../../../kernels/linux/linux.js';
import type { Generation } from './domain.js';
import type { QueueRecords } from './image.js';
import { PORTS_MAX, type Port } from './io/evtchn.js';
import { ARRAY_PAGES_MAX, CONTROL_BYTES, PRIORITIES } from './io/fifo.js';
import type { Io } from './io/io.js';
import type { SavedMm } from './mm/index.js';
import type { Callback, TrapGate, Vcpu } from './vcpu.js';
import type { CodeRanges } from './xen.js';

export interface SavedXen {
  readonly generation: Generation;
  readonly vcpu: Vcpu;
  readonly io: Io;
  readonly mm: SavedMm;
  readonly kernelRoot: number;
  readonly userRoot: number;
  readonly kernelMode: boolean;
  /** Roots as last told. */
  readonly told: { readonly kernel: number; readonly user: number };
  /** Registers as last told, by number: low word, high word. */
  readonly registers: readonly number[];
  readonly code: CodeRanges;
  readonly queue: QueueRecords | undefined;
  readonly linux: LinuxFacts | undefined;
  readonly task: Task;
  readonly line: string;
  readonly causes: readonly number[];
}

export const encode = (saved: SavedXen): Uint8Array =>
  Buffer.from(
    JSON.stringify(saved, (_, value: unknown) =>
      typeof value === 'bigint' ? `0x${value.toString(16)}n` : value instanceof Map ? [...value] : value,
    ),
    'latin1',
  );

const isBigint = (v: unknown): v is bigint => typeof v === 'bigint' && v >= 0n && v < 1n << 64n;
const isWhole = (v: unknown, end: number): v is number =>
  Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) < end;
const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const isCallback = (v: unknown): v is Callback => isObject(v) && isBigint(v.address) && typeof v.masks === 'boolean';
const isGate = (v: unknown): v is [number, TrapGate] =>
  Array.isArray(v) &&
  isWhole(v[0], 256) &&
  isObject(v[1]) &&
  isBigint(v[1].address) &&
  isWhole(v[1].cs, 65_536) &&
  isWhole(v[1].flags, 256);
const isRange = (v: unknown): boolean => Array.isArray(v) && v.length === 2 && v.every(isBigint);

/**
 * @param frames how many frames the machine has
 * @throws Trouble when the bytes are not what `encode` makes for such a machine; what is the MMU's own is its to check
 */
export function decode(bytes: Uint8Array, frames: number): SavedXen {
  const bad = (what: string): never => {
    throw new Trouble(`checkpoint: the host's state is damaged: ${what}`);
  };
  let saved: unknown;
  try {
    saved = JSON.parse(Buffer.from(bytes).toString('latin1'), (_, value: unknown) =>
      typeof value === 'string' && /^0x[0-9a-f]{1,16}n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
    );
  } catch {
    return bad('no JSON');
  }
  if (!isObject(saved)) return bad('no JSON');
  const s = saved as Partial<Record<keyof SavedXen, unknown>>;
  if (s.generation !== '4.1' && s.generation !== '4.17') bad('the generation');
  if (!isWhole(s.kernelRoot, frames) || !isWhole(s.userRoot, frames)) bad('a root');
  if (typeof s.kernelMode !== 'boolean') bad('the mode');
  if (!isObject(s.told) || !isWhole(s.told.kernel, 2 ** 32) || !isWhole(s.told.user, 2 ** 32)) bad('the roots');
  if (!Array.isArray(s.registers) || s.registers.length !== 2 * X86_64.registers.length) return bad('registers');
  if (!s.registers.every(word => isWhole(word, 2 ** 32))) bad('a register');
  if (!Array.isArray(s.code) || !s.code.every(isRange)) bad('code ranges');
  if (s.queue !== undefined && !(isObject(s.queue) && isBigint(s.queue.entries) && isBigint(s.queue.records)))
    bad('queue records');
  if (typeof s.line !== 'string' || s.line.length > 4096) bad('the console');
  if (!Array.isArray(s.causes) || !s.causes.every(seq => isWhole(seq, 2 ** 53))) bad('causes');
  if (!isObject(s.task) || !isWhole(s.task.pid, 2 ** 32) || typeof s.task.name !== 'string') bad('the task');
  if (!isLinux(s.linux)) bad('what is known of the kernel');
  if (!isObject(s.mm)) bad('memory management');
  return {
    ...(saved as unknown as SavedXen),
    vcpu: vcpuIn(s.vcpu) ?? bad('the vcpu'),
    io: ioIn(s.io, frames) ?? bad('ports or devices'),
  };
}
/** As much as may be left to type. */
export const TYPING_MAX = 2 ** 20;
function ioIn(v: unknown, frames: number): Io | undefined {
  if (!isObject(v) || !Array.isArray(v.ports) || !v.ports.every(isPort)) return undefined;
  const tick = (n: unknown): boolean => isWhole(n, 2 ** 53);
  const page = (p: unknown): boolean => isObject(p) && isWhole(p.mfn, frames) && isWhole(p.port, 4096);
  const whole =
    typeof v.typing === 'string' &&
    v.typing.length <= TYPING_MAX &&
    isWhole(v.vcpuInfoAt, frames * PAGE_BYTES - 63) &&
    typeof v.vcpuInfoMoved === 'boolean' &&
    (v.timer === undefined || tick(v.timer)) &&
    (v.runstateAt === undefined || isBigint(v.runstateAt)) &&
    [v.blocked, v.runningSince].every(tick) &&
    [v.console, v.xenstore].every(page) &&
    isObject(v.store) &&
    [v.store.input, v.store.output].every(t => typeof t === 'string' && t.length <= 2 ** 17) &&
    (v.fifo === undefined || isFifo(v.fifo, frames)) &&
    (v.grants === undefined || (isObject(v.grants) && isWhole(v.grants.frames, GRANTS_END))) &&
    (v.eoiMap === undefined || isWhole(v.eoiMap, frames));
  return whole ? { ...(v as unknown as Io), ports: new Map(v.ports) } : undefined;
}
/** As many frames as a grant table may ever have. */
const GRANTS_END = 65;
const isFifo = (v: unknown, frames: number): boolean =>
  isObject(v) &&
  isWhole(v.control, frames * PAGE_BYTES - CONTROL_BYTES + 1) &&
  Array.isArray(v.pages) &&
  v.pages.length <= ARRAY_PAGES_MAX &&
  v.pages.every(page => isWhole(page, frames)) &&
  Array.isArray(v.tails) &&
  v.tails.length === PRIORITIES &&
  v.tails.every(port => isWhole(port, PORTS_MAX)) &&
  isObject(v.ports) &&
  Object.entries(v.ports).every(
    ([port, p]) =>
      /^\d{1,4}$/.test(port) &&
      isObject(p) &&
      isWhole(p.priority, PRIORITIES) &&
      isWhole(p.last, PRIORITIES) &&
      typeof p.waiting === 'boolean',
  );
const isPort = (v: unknown): v is [number, Port] => {
  if (!Array.isArray(v) || !isWhole(v[0], 4096) || !isObject(v[1])) return false;
  const { state, virq, remote, device } = v[1];
  if (state === 'virq') return isWhole(virq, 24);
  if (state === 'ipi') return true;
  if (state === 'unbound') return isWhole(remote, 65_536);
  return state === 'interdomain' && isWhole(remote, 65_536) && (device === 'console' || device === 'xenstore');
};
/** The largest unwind tables that are read: a kernel's have some 4 MiB. */
const TABLE_BYTES_MAX = 2 ** 26;
function isLinux(v: unknown): boolean {
  if (v === undefined) return true;
  if (!isObject(v)) return false;
  const { orc, task } = v;
  const orcIsWhole =
    orc === undefined ||
    (isObject(orc) &&
      isBigint(orc.ip) &&
      isBigint(orc.entries) &&
      isWhole(orc.ipBytes, TABLE_BYTES_MAX) &&
      isWhole(orc.entriesBytes, TABLE_BYTES_MAX) &&
      typeof orc.since64 === 'boolean');
  const taskIsWhole =
    task === undefined || (isObject(task) && [task.current, task.pid, task.comm].every(n => isWhole(n, 2 ** 31)));
  return orcIsWhole && taskIsWhole;
}
function vcpuIn(v: unknown): Vcpu | undefined {
  if (!isObject(v) || !Array.isArray(v.traps) || !v.traps.every(isGate)) return undefined;
  const callbacks = ['event', 'failsafe', 'syscall', 'syscall32', 'sysenter'].every(name => isCallback(v[name]));
  const words = ['kernelSs', 'kernelSp', 'cr4', 'assists', 'iopl'].every(name => isBigint(v[name]));
  const ldt = isObject(v.ldt) && isBigint(v.ldt.at) && isWhole(v.ldt.entries, 8193);
  return callbacks && words && ldt ? { ...(v as unknown as Vcpu), traps: new Map(v.traps) } : undefined;
}
