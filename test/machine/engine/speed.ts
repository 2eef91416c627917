/** A measurement, not a test: npm run bench -- engine */
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { calling } from './calling.js';
import { bare, bytes, PRESENT, R, Tables, WRITE } from './guest.js';
import { ENTRY, RESULTS } from './kernels.js';

const ROUNDS = 6;

function again(cpu: Cpu, what: number, n: number): void {
  for (const [name, value] of Object.entries({ rip: ENTRY, rsp: 0x9000, rdi: what, rsi: n, rdx: 0x100_0000 }))
    cpu.set(R[name]!, BigInt(value));
}

interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly target: string;
}
const row = (name: string, value: number, unit: string, target = ''): Row => ({ name, value, unit, target });

export function* rows(): Generator<Row> {
  yield* hotLoops();
  yield* farAndTrapped();
}

function* hotLoops(): Generator<Row> {
  const cpu = calling(0, 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [what, { name, n }] of RESULTS.entries()) {
      again(cpu, what, n);
      const [ticks, start] = [cpu.machine.ticks, performance.now()];
      cpu.machine.run(asTicks(1e12));
      const mips = (cpu.machine.ticks - ticks) / (performance.now() - start) / 1000;
      if (round === ROUNDS - 1) yield row(name, mips, 'MIPS');
    }
  }
}

function* farAndTrapped(): Generator<Row> {
  const rounds = function* (name: string, cpu: Cpu, pc: bigint, operations: number): Generator<Row> {
    for (let round = 0; round < ROUNDS; round++) {
      cpu.set(R.rip!, pc);
      const start = performance.now();
      cpu.machine.run(asTicks(1e12));
      if (round === ROUNDS - 1) yield row(name, ((performance.now() - start) * 1e6) / operations, 'ns');
    }
  };
  // mov ecx,1000000; L: mov [0x20000],rcx; dec ecx; jnz L; hlt
  const loop = 'b940420f00 48890c2500000200 ffc9 75f4 f4';
  yield* rounds('store and loop', bare(loop), 0x1000n, 1e6);
  const watched = bare(loop);
  let seen = 0;
  watched.memory.onWatched = () => seen++;
  watched.memory.watch(asFrame(0x20), true);
  yield* rounds('watched store and loop', watched, 0x1000n, 1e6);

  // mov ecx,1000000; L: mov rax,[0x200000]; mov rax,[0x600000]; dec ecx; jnz L; hlt: both fall on one TLB place.
  const misses = bare('b940420f00 488b042500002000 488b042500006000 ffc9 75ec f4');
  const tables = new Tables(misses);
  for (const [va, pa] of [
    [0x1000n, 0x1000],
    [0x20_0000n, 0x2000],
    [0x60_0000n, 0x3000],
  ] as const)
    tables.map(va, pa, PRESENT | WRITE);
  tables.enable(0);
  yield* rounds('two TLB misses and loop', misses, 0x1000n, 1e6);

  // mov edx,200; L: lea rdi,[0x20000]; lea rsi,[0x40000]; mov ecx,count; (the instruction); dec edx; jnz L; hlt
  const repeated = function* (name: string, instruction: string, count: number, watch = false): Generator<Row> {
    const ecx = Buffer.from(Uint32Array.of(count).buffer).toString('hex');
    const back = (256 - 25 - instruction.length / 2).toString(16);
    const cpu = bare(`bac8000000 488d3c2500000200 488d342500000400 b9${ecx} ${instruction} ffca 75${back} f4`);
    if (watch) for (let n = 0; n < 16; n++) cpu.memory.watch(asFrame(0x20 + n), true);
    yield* rounds(name, cpu, 0x1000n, 200);
  };
  yield* repeated('rep stosq of a page', 'f348ab', 512);
  yield* repeated('rep movsq of a page', 'f348a5', 512);
  yield* repeated('rep movsb of 64 KiB', 'f3a4', 65_536);
  yield* repeated('rep stosq of a watched page', 'f348ab', 512, true);
  yield* repeated('repe cmpsb of a page', 'f3a6', 4096);

  // 3,000 calls to small functions on distinct pages, 4 instructions each.
  const far = bare('f4');
  const code = bytes('4883c001 4883c101 4801c8 c3');
  const calls: number[] = [];
  for (let n = 0; n < 500; n++) {
    const at = 0x1_0000 + n * 0x1000 + ((n * 67) % 3900);
    far.memory.hostWrite(asPaddr(at), code);
    calls.push(0xe8, ...new Uint8Array(Int32Array.of(at - (0x3000 + calls.length + 5)).buffer));
  }
  calls.push(0xf4);
  far.memory.hostWrite(asPaddr(0x3000), Uint8Array.from(calls));
  const turns = 400;
  const start = performance.now();
  const before = far.machine.ticks;
  for (let n = 0; n < turns * ROUNDS; n++) {
    far.set(R.rip!, 0x3000n);
    far.machine.run(asTicks(1e12));
  }
  yield row('calls_to_500_pages', (far.machine.ticks - before) / (performance.now() - start) / 1000, 'MIPS');
}
