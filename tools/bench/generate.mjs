/**
 * A realistic recording without a guest: what a hypervisor sees of twenty processes that map, unmap and switch. Seeded, so
 * the same arguments give the same bytes; every old value is what the state then was, so it folds in both directions.
 *
 * Mix: registers 45 %, page-table writes 27 %, frame numbers 19 %, calls 4 %, the rest 5 %. Frames and addresses are zipf
 * over 65,536; at least 30 % of the 32-bit words that change are random bits (`randomShare` in the result), since real
 * registers hold data that no compressor knows.
 *
 * It takes the log and the kind numbers as arguments and imports nothing, so that a test can run it over src and a
 * benchmark over dist.
 */

const FRAMES = 65_536;
const PROCESSES = 20;
const L1_TABLES = 72; // with an L4, an L3 and two L2: about 80 tables a process
const DRAWS = 2 ** 17; // small enough for a second-level cache
const TABLES = 4 + L1_TABLES;
const SLOTS = 512;
const FIRST_TABLE = 0x1_0000; // frames of tables, above the frames they map
const PRESENT_RW_USER = 0x067;
const CALLS = [1, 14, 26, 13];
const EMPTY_TABLE = new Array(SLOTS).fill(0n);

export const HEADER = {
  system: 'generated',
  guest: 'twenty-processes',
  isa: 'x86_64',
  vcpus: 1,
  memoryBytes: 2 ** 29,
  detail: 'mmu',
  config: {},
  images: [],
};
export const LEXICON = {
  words: {
    frameType: ['none', 'l1', 'l2', 'l3', 'l4', 'seg_desc', 'writable'],
    path: ['store', 'hypercall', 'walker', 'host'],
    class: ['hypercall'],
    batch: ['multicall'],
    format: ['x86-64-4level'],
    object: ['memory'],
  },
  calls: { 0: { 1: 'mmu_update', 13: 'multicall', 14: 'update_va_mapping', 26: 'mmuext_op' } },
  regions: [],
  paging: { guest: 'x86-64-4level' },
};

/** Mulberry32: a small seeded generator of u32. */
function random32(seed) {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** A table of 2^19 draws from a zipf distribution (exponent 1) over n, ranks shuffled: sampling is one lookup. */
function zipfTable(n, next) {
  const shuffled = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = next() % (i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  let harmonic = 0;
  for (let k = 1; k <= n; k++) harmonic += 1 / k;
  const table = new Uint16Array(DRAWS);
  let at = 0;
  let sum = 0;
  for (let k = 1; k <= n; k++) {
    sum += 1 / k;
    const end = Math.round((sum / harmonic) * table.length);
    while (at < end) table[at++] = shuffled[k - 1];
  }
  return table;
}

/** Frame of table t (0: L4, 1: L3, 2-3: L2, 4...: L1) of process p. */
export const tableFrame = (p, t) => FIRST_TABLE + p * TABLES + t;
/** Virtual address of page `page` (0 .. 72*512-1) of every process. */
export const pageAddress = page => BigInt(page) << 12n;
export const PAGES = L1_TABLES * SLOTS;
export const PROCESS_COUNT = PROCESSES;
export const FRAME_COUNT = FRAMES;

const levelOf = t => (t === 0 ? 4 : t === 1 ? 3 : t < 4 ? 2 : 1);

/**
 * Writes `events` events into `log` (a Log of src/events/log.ts; KIND is the table of kind numbers beside it).
 * @returns {{ ticks: number, randomShare: number }} ticks of the last event, share of changed words that are random bits
 */
export function generate(log, KIND, { events, seed = 1 }) {
  const next = random32(seed);
  const zipfFrame = zipfTable(FRAMES, next);
  const zipfPage = zipfTable(FRAMES, next);
  const slots = new Uint32Array(2 * PROCESSES * TABLES * SLOTS); // lo and hi side by side
  const types = new Uint8Array(FRAMES);
  const typeCounts = new Uint32Array(FRAMES);
  const totals = new Uint32Array(FRAMES);
  const pins = new Uint8Array(FRAMES);
  const valid = new Uint8Array(FRAMES);
  const regLo = new Uint32Array(64);
  const regHi = new Uint32Array(64).fill(0xffff_8880);
  const msrs = new Uint32Array(4);
  let ticks = 1000;
  let process = 0;
  let pid = 0;
  let pc = 0x8100_0000;
  let call = -1;
  let changed = 0;
  let randomly = 0;

  log.put({ kind: 'start', ticks, vcpu: 0, cause: -1, text: `generated seed ${seed}` });
  for (let p = 0; p < PROCESSES; p++) {
    for (let t = TABLES - 1; t >= 0; t--) {
      const base = (p * TABLES + t) * SLOTS;
      const point = (slot, child) => {
        slots[2 * (base + slot)] = (((tableFrame(p, child) << 12) >>> 0) | PRESENT_RW_USER) >>> 0;
        slots[2 * (base + slot) + 1] = tableFrame(p, child) >>> 20;
      };
      if (t === 0) point(0, 1);
      else if (t === 1) for (const l2 of [0, 1]) point(l2, 2 + l2);
      else if (t < 4) for (let i = 0; i < L1_TABLES; i++) if (i >> 6 === t - 2) point(i & 63, 4 + i);
      const entries =
        t >= 4
          ? EMPTY_TABLE
          : EMPTY_TABLE.map((_, i) => (BigInt(slots[2 * (base + i) + 1]) << 32n) | BigInt(slots[2 * (base + i)]));
      log.put({
        kind: 'adopt',
        ticks,
        vcpu: 0,
        cause: -1,
        space: 'guest',
        table: tableFrame(p, t),
        offset: 0,
        level: levelOf(t),
        bytes: 8,
        format: 0,
        entries,
      });
    }
  }
  log.put({
    kind: 'root',
    ticks,
    vcpu: 0,
    cause: -1,
    space: 'guest',
    role: 'kernel',
    old: 0xffff_ffff,
    new: tableFrame(0, 0),
  });

  // Looked up once: a property of KIND by name costs as much as a register.
  const { regs: REGS, pte: PTE } = KIND;
  const writeRegs = () => {
    const row = log.open(REGS, ticks, 0, -1);
    const c = log.col.regs;
    let end = row === 0 ? 0 : c.valuesEnd[row - 1];
    const how = next() % 10;
    const n = how < 6 ? 1 : how < 9 ? 2 : 4;
    let lo = 0;

    for (let k = 0; k < n; k++) {
      const reg = k === 0 && how < 5 ? 16 : (((next() >>> 4) & 3) + k * 4) & 15;
      if (lo & (1 << reg)) continue;
      const r = next();
      changed++;
      if (r % 100 < 42) {
        regLo[reg] = next();
        randomly++;
      } else if (reg === 16) pc = regLo[16] = (pc + (r >>> 28)) >>> 0;
      else regLo[reg] = (regLo[reg] + ((r >>> 24) & 0x78)) >>> 0;
      lo |= reg === 16 ? 0x1_0000 : 1 << reg;
    }
    lo >>>= 0;
    for (let bits = lo; bits !== 0; bits &= bits - 1) {
      const reg = 31 - Math.clz32(bits & -bits);
      c.valuesLo[end] = regLo[reg];
      c.valuesHi[end++] = regHi[reg];
    }
    c.maskLo[row] = lo;
    c.maskHi[row] = 0;
    c.valuesEnd[row] = end;
  };

  const writePte = () => {
    const page = zipfPage[next() & (DRAWS - 1)] % PAGES;
    const upper = next() % 100 < 4;
    const table = upper ? 2 + ((page >> 15) & 1) : 4 + (page >> 9);
    const slot = upper ? (page >> 9) & 63 : page & 511;
    const at = 2 * ((process * TABLES + table) * SLOTS + slot);
    const oldLo = slots[at];
    const oldHi = slots[at + 1];
    const r = next();
    changed++;
    if (upper) {
      if (!(oldLo & 1)) return false;
      slots[at] = oldLo ^ 0x20; // the accessed bit; the tree of tables stays
    } else if (r % 100 < 33) {
      slots[at] = next() | 1;
      randomly++;
    } else if (r % 100 < 45) slots[at] = 0;
    else slots[at] = ((zipfFrame[(r >>> 8) & (DRAWS - 1)] << 12) | (r & 0x10000000 ? 0x027 : 0x067)) >>> 0;
    if (!upper) {
      const top = slots[at] === 0 ? 0 : r & 0x2000_0000 ? 0x8000_0000 : 0;
      if (top !== oldHi) changed++;
      slots[at + 1] = top;
    }
    const row = log.open(PTE, ticks, 0, call);
    const c = log.col.pte;
    c.space[row] = 0;
    c.table[row] = tableFrame(process, table);
    c.offset[row] = slot * 8;
    c.level[row] = levelOf(table);
    c.bytes[row] = 8;
    c.path[row] = r & 0x4000_0000 ? 1 : 0;
    c.oldLo[row] = oldLo;
    c.oldHi[row] = oldHi;
    c.newLo[row] = slots[at];
    c.newHi[row] = slots[at + 1];
    c.stack[row] = 0;
    return true;
  };

  const count = (kind, columns, frame, old, value) => {
    const row = log.open(kind, ticks, 0, call);
    const c = log.col[columns];
    c.frame[row] = frame;
    c.old[row] = old;
    c.new[row] = value;
    changed++;
  };
  const writeFrame = () => {
    const frame = zipfFrame[next() & (DRAWS - 1)];
    const r = next() % 19;
    if (r < 8) {
      const old = typeCounts[frame];
      typeCounts[frame] = old > 0 && next() & 1 ? old - 1 : old + 1;
      count(KIND.typecount, 'typecount', frame, old, typeCounts[frame]);
    } else if (r < 14) {
      const old = totals[frame];
      totals[frame] = old > 0 && next() & 1 ? old - 1 : old + 1;
      count(KIND.total, 'total', frame, old, totals[frame]);
    } else if (r < 17) {
      const old = types[frame];
      types[frame] = (old + 1 + (next() % 6)) % 7;
      count(KIND.type, 'type', frame, old, types[frame]);
    } else if (r < 18) {
      pins[frame] ^= 1;
      count(KIND.pinned, 'pinned', frame, pins[frame] ^ 1, pins[frame]);
    } else {
      valid[frame] ^= 1;
      count(KIND.validated, 'validated', frame, valid[frame] ^ 1, valid[frame]);
    }
  };

  const head = kind => ({ kind, ticks, vcpu: 0, cause: call });
  const writeRest = () => {
    const r = next() % 500;
    if (r < 150) {
      const row = log.open(KIND.trap, ticks, 0, call);
      const c = log.col.trap;
      c.vector[row] = 14;
      c.error[row] = 2 + (r & 4);
      c.atLo[row] = ((next() % PAGES) << 12) >>> 0;
      c.atHi[row] = 0;
      c.pcLo[row] = pc;
      c.pcHi[row] = 0xffff_ffff;
      c.user[row] = r & 1;
      c.stack[row] = 0;
    } else if (r < 300) {
      const row = log.open(KIND.trapret, ticks, 0, call);
      const c = log.col.trapret;
      c.pcLo[row] = pc;
      c.pcHi[row] = 0xffff_ffff;
      c.user[row] = r & 1;
    } else if (r < 400) {
      const row = log.open(KIND.flush, ticks, 0, call);
      const c = log.col.flush;
      c.scope[row] = 0;
      c.atLo[row] = ((next() % PAGES) << 12) >>> 0;
      c.atHi[row] = 0;
    } else if (r < 430) log.put({ ...head('batch'), style: 0, count: 1 + (r & 7) });
    else if (r < 460) {
      const slot = next() & 3;
      const row = log.open(KIND.msr, ticks, 0, call);
      const c = log.col.msr;
      c.register[row] = 0xc000_0100 + slot;
      c.oldLo[row] = msrs[slot];
      c.oldHi[row] = 0;
      c.newLo[row] = msrs[slot] = next();
      c.newHi[row] = 0;
    } else if (r < 490) {
      const before = process;
      process = next() % PROCESSES;
      log.put({
        ...head('root'),
        space: 'guest',
        role: 'kernel',
        old: tableFrame(before, 0),
        new: tableFrame(process, 0),
      });
      log.put({ ...head('task'), old: pid, pid: process, oldName: `task${pid}`, name: `task${process}` });
      pid = process;
    } else log.put({ ...head('console'), from: 'guest', text: `[${ticks}] process ${process}\n` });
  };

  const writeCall = () => {
    if (call >= 0 && next() & 1) {
      const row = log.open(KIND.result, ticks, 0, call);
      log.col.result.valueLo[row] = 0;
      log.col.result.valueHi[row] = 0;
      call = -1;
    } else {
      call = log.seq;
      const row = log.open(KIND.call, ticks, 0, -1);
      const c = log.col.call;
      let end = row === 0 ? 0 : c.argsEnd[row - 1];
      c.class[row] = 0;
      c.number[row] = CALLS[next() & 3];
      c.stack[row] = 0;
      for (let k = 0; k < 3; k++) {
        c.argsLo[end] = k === 0 ? next() : k === 1 ? 1 + (next() & 15) : 0;
        c.argsHi[end++] = 0;
      }
      c.argsEnd[row] = end;
      changed += 2;
      randomly++;
    }
  };

  while (log.seq < events - 1) {
    ticks += 20 + (next() & 0x1ff);
    const r = next() % 100;
    if (r < 45) writeRegs();
    else if (r < 72) writePte();
    else if (r < 91) writeFrame();
    else if (r < 95) writeCall();
    else writeRest();
  }
  log.put({ kind: 'end', ticks: ticks + 1, vcpu: 0, cause: -1, how: 'halted', reason: 'generated' });
  return { ticks: ticks + 1, randomShare: randomly / changed };
}
