/** What the single things cost that recording a kernel is full of. Each is the best of a few rounds after a warm-up. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { row } from '../rows.mjs';
import { image } from './build.mjs';

const MIB = 1 << 20;
const ROUNDS = 6;
/**
 * Table writes in the guest of record_overhead; some 2,000 instructions each. Five seconds of running, so that what a recording
 * costs once (starting two workers, compiling) is not told as a cost of writes: it is 80 ms, and in the row all the same.
 */
const WRITES = 4_000_000;
const RECORDING_ROUNDS = 5;

const hex = text => Uint8Array.from(text.replace(/\s+/g, '').match(/../g), b => Number.parseInt(b, 16));
const least = (rounds, what) => {
  let best = Infinity;
  for (let n = 0; n < rounds; n++) best = Math.min(best, what());
  return best;
};
const timed = work => {
  const began = performance.now();
  work();
  return performance.now() - began;
};

/** @param {string} dist folder of the compiled sources */
export async function* costs(dist) {
  const { Cpu, CR0, CR4, EFER } = await import(join(dist, 'machine/x86/cpu.js'));
  const { REG } = await import(join(dist, 'isa/x86_64.js'));
  const { takeCheckpoint } = await import(join(dist, 'machine/engine/checkpoint.js'));
  /** A processor without paging in ring 0, `code` at 0x1000. */
  const bare = (code, mib = 4) => {
    const cpu = new Cpu(mib * MIB);
    cpu.memory.hostWrite(0x1000, hex(code));
    cpu.set(REG.rsp, 0x9000n);
    return cpu;
  };
  /** Milliseconds to the hlt, from 0x1000. */
  const toHalt = cpu => {
    cpu.set(REG.rip, 0x1000n);
    return timed(() => {
      const exit = cpu.machine.run(cpu.machine.ticks + 1e12);
      if (exit.kind !== 'halt') throw new Error(`ended with ${exit.kind}`);
    });
  };
  const nsEach = (ms, count) => (ms * 1e6) / count;

  // mov ecx,1000000; L: mov [0x20000],rcx; dec ecx; jnz L; hlt
  const loop = 'b940420f00 48890c2500000200 ffc9 75f4 f4';
  const watched = bare(loop);
  let seen = 0;
  watched.memory.onWatched = () => seen++;
  watched.memory.watch(0x20, true);
  yield row(
    'trapped_store_ns',
    nsEach(
      least(ROUNDS, () => toHalt(watched)),
      1e6,
    ),
    'ns',
    '<= 400',
  );
  if (seen !== ROUNDS * 1e6) throw new Error(`${seen} stores were told`);

  // L: syscall, which the host does; jmp L
  const calling = bare('0f05 ebfc');
  calling.intercept = new Set(['syscall']);
  const trips = 100_000;
  const roundTrips = () => {
    calling.set(REG.rip, 0x1000n);
    for (let n = 0; n < trips; n++) {
      const exit = calling.machine.run(Number.MAX_SAFE_INTEGER);
      if (exit.kind !== 'call') throw new Error(`ended with ${exit.kind}`);
      calling.retire(exit.length);
    }
  };
  yield row(
    'trap_round_trip_ns',
    nsEach(
      least(ROUNDS, () => timed(roundTrips)),
      trips,
    ),
    'ns',
  );

  // mov ecx,1000000; L: mov rax,[0x200000]; mov rax,[0x600000]; dec ecx; jnz L; hlt: both fall on one place of the TLB.
  const missing = bare('b940420f00 488b042500002000 488b042500006000 ffc9 75ec f4');
  paged(missing, REG, { CR0, CR4, EFER }, [0x1000, 0x20_0000, 0x60_0000]);
  yield row(
    'tlb_miss_ns',
    nsEach(
      least(ROUNDS, () => toHalt(missing)),
      2e6,
    ),
    'ns',
    '<= 60',
  );
  yield* checkpoints(takeCheckpoint, bare, toHalt);
  yield* patches(bare, REG);
  yield* recording(dist);
}

/** Turns on paging with the given pages, each in a frame of its own from 0x1000 on; the tables are at 1 MiB. */
function paged(cpu, REG, { CR0, CR4, EFER }, pages) {
  const put = (at, value) => cpu.memory.hostStore(at, 8, BigInt(value));
  const [root, l3, l2] = [0x10_0000, 0x10_1000, 0x10_2000];
  put(root, l3 | 3);
  put(l3, l2 | 3);
  for (const [n, va] of pages.entries()) {
    const l1 = 0x10_3000 + 0x1000 * (va >> 21);
    put(l2 + 8 * (va >> 21), l1 | 3);
    put(l1 + 8 * ((va >> 12) & 511), (0x1000 * (n + 1)) | 3);
  }
  cpu.set(REG.cr3, BigInt(root));
  cpu.set(REG.cr4, CR4.PAE);
  cpu.set(REG.efer, EFER.LME | EFER.LMA);
  cpu.set(REG.cr0, CR0.PE | CR0.WP | CR0.PG);
}

/** A checkpoint of 128 MiB with a tenth of the pages written, copied into a buffer that is there already. */
function* checkpoints(takeCheckpoint, bare) {
  const cpu = bare('f4', 128);
  const buffer = new Uint8Array(16 * MIB);
  const page = new Uint8Array(4096).fill(7);
  const take = () => {
    for (let frame = 1; frame < 32_768; frame += 10) cpu.memory.hostWrite(frame * 4096, page);
    return timed(() => {
      let at = 0;
      for (const [, bytes] of takeCheckpoint(cpu).pages) {
        buffer.set(bytes, at);
        at += bytes.length;
      }
    });
  };
  yield row('checkpoint_ms', least(ROUNDS, take), 'ms', '<= 20');
}

/** What a patch of code costs: the store, the blocks dropped, and decoding them again. */
function* patches(bare, REG) {
  const SITES = 14_500;
  // L: mov rdx,[rbx]; call rdx; (patch) inc byte [rdx+2]; call rdx; add rbx,8; dec ecx; jnz L; hlt
  const loop = patch => `488b13 ffd2 ${patch} ffd2 4883c308 ffc9 75ee f4`;
  const run = patch => {
    const cpu = bare(loop(patch), 8);
    for (let n = 0; n < SITES; n++) {
      const at = 0x1_0000 + Math.floor(n / 50) * 4096 + (n % 50) * 73;
      cpu.memory.hostWrite(at, hex('83c001 c3'));
      cpu.memory.hostStore(0x40_0000 + 8 * n, 8, BigInt(at));
    }
    const go = () => {
      cpu.set(REG.rip, 0x1000n);
      cpu.set(REG.rbx, 0x40_0000n);
      cpu.set(REG.rcx, BigInt(SITES));
      return timed(() => cpu.machine.run(cpu.machine.ticks + 1e9));
    };
    go();
    return least(3, go);
  };
  yield row('patch_us', ((run('fe4202') - run('0f1f00')) * 1000) / SITES, 'us');
}

/** The same guest recorded at mmu detail into a file, and run without anybody looking. */
async function* recording(dist) {
  const { record } = await import(join(dist, 'session/record.js'));
  const { finish } = await import(join(dist, 'base/work.js'));
  const { load } = await import(join(dist, 'systems/bare/model/load.js'));
  const { Cpu } = await import(join(dist, 'machine/x86/cpu.js'));
  const { parseElf } = await import(join(dist, 'isa/elf.js'));
  const file = image('tables');
  const bytes = new Uint8Array(readFileSync(file));
  const elf = parseElf(bytes, file);
  const rounds = elf.symbols.find(s => s.name === 'rounds').at;
  const segment = elf.segments.find(s => rounds >= s.virtual && rounds < s.virtual + BigInt(s.data.length));
  new DataView(segment.data.buffer, segment.data.byteOffset).setBigUint64(
    Number(rounds - segment.virtual),
    BigInt(WRITES),
    true,
  );
  const folder = mkdtempSync(join(tmpdir(), 'rewalk-bench-'));
  let ticks = 0;
  let events = 0;
  const off = () =>
    timed(() => {
      const cpu = new Cpu(32 * MIB); // made within the time, as for a recording
      load(cpu, bytes, 'tables');
      cpu.machine.run(1e12);
      ticks = cpu.machine.ticks;
    });
  const on = () =>
    timed(() => {
      const recorded = finish(
        record({
          system: 'bare',
          guest: 'tables',
          image: bytes,
          out: join(folder, 'tables.rewalk'),
          detail: 'mmu',
          limits: { ticks: 1e12, events: 1e9 },
          thread: true,
        }),
      );
      if (recorded.how !== 'halted') throw new Error(`the recorded guest ended: ${recorded.reason}`);
      if (recorded.ticks !== ticks) throw new Error(`recorded ${recorded.ticks} instructions, not ${ticks}`);
      events = recorded.events;
    });
  try {
    let [best, bestOn] = [Infinity, Infinity];
    for (let n = 0; n < RECORDING_ROUNDS; n++) {
      best = Math.min(best, off());
      bestOn = Math.min(bestOn, on());
    }
    yield row('instructions_per_write', ticks / WRITES, '');
    yield row('recorded_events', events, '');
    yield row('record_overhead', bestOn / best, 'on / off', '<= 1.15');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
