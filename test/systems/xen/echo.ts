/**
 * A guest that waits for keys, with SCHEDOP_poll on its console's port, and prints each as it comes, until one is q. Between
 * two keys it counts for a while, so that keys come while it runs as well as while it waits. It keeps upcalls masked: what is
 * raised only ends the poll.
 */
import { asFrame } from '../../../src/base/brand.js';
import { BASE, bytes, call, DATA, HYPERCALL, imageFor, mov, run, shutdown, store, u64s } from './guest.js';

const SHARED = DATA + 0x1000n;
const POLL = DATA + 0x100n;
const PORTS = DATA + 0x200n;
const KEY = DATA + 0x300n;
const SHARED_PENDING = 0x800n;
const MASKED = 0x100n;
const VA_MAPPING_INVLPG = 2n;
const rel32 = (n: number): number[] => [...new Uint8Array(new Int32Array([n]).buffer)];

/**
 * @param spin instructions between two keys, halved
 * @param timer the tick at which a timer rings, once; 0 for none
 */
export function echoImage(spin = 1000, timer = 0n): Uint8Array {
  const { xen } = run(shutdown());
  const page = BASE + 4096n * xen.pfnOf(asFrame(xen.io.console.mfn));
  const shared = 4096n * BigInt(xen.layout.sharedInfo);
  const begin = [
    ...call(HYPERCALL.vaMapping, SHARED, shared | 0x63n, VA_MAPPING_INVLPG),
    ...store(SHARED, MASKED),
    ...store(DATA, 0n), // evtchn_bind_virq: the timer's, of vcpu 0
    ...call(32, 1n, DATA),
    ...(timer ? call(15, timer) : []),
  ];
  const poll = [
    ...call(HYPERCALL.sched, 3n, POLL),
    ...store(SHARED + SHARED_PENDING, 0n),
    ...store(SHARED + 8n, 0n),
    ...store(SHARED, MASKED),
  ];
  const key = [
    ...bytes('89 c8 25 ff 03 00 00 8a 04 03'), //   mov eax, ecx; and eax, 3ff; mov al, [rbx + rax]
    ...bytes('ff c1 89 8b 00 0c 00 00'), //         inc ecx; mov [rbx + in_cons], ecx
    ...mov(3, KEY),
    ...bytes('88 03 3c 71'), //                     mov [rbx], al; cmp al, 'q'
  ];
  const print = [
    ...call(HYPERCALL.console, 0n, 1n, KEY),
    ...mov(1, BigInt(spin)),
    ...bytes('48 ff c9 75 fb'), //                  dec rcx; jnz
  ];
  const look = [...mov(3, page), ...bytes('8b 8b 00 0c 00 00 3b 8b 04 0c 00 00')]; // mov ecx, in_cons; cmp ecx, in_prod
  const [JE, JMP] = [6, 5];
  const toPoll = -(look.length + JE + poll.length);
  const body = key.length + JE + print.length + JMP;
  const code = [
    ...begin,
    ...poll,
    ...look,
    ...bytes('0f 84'),
    ...rel32(toPoll),
    ...key,
    ...bytes('0f 84'),
    ...rel32(print.length + JMP),
    ...print,
    ...bytes('e9'),
    ...rel32(-(look.length + JE + body)),
    ...shutdown(),
  ];
  const data = new Array<number>(0x300).fill(0);
  data.splice(0x100, 24, ...u64s(PORTS, 1n, 0n));
  data.splice(0x200, 8, ...u64s(2n));
  return imageFor(code, { data });
}
