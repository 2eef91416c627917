/**
 * The worlds a program runs in: the real processor, QEMU's system emulation, and ours. Each runs entry(what, n) of the same
 * image and tells seconds and the result, which must be the same everywhere. Starting up is not in the seconds.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const MIB = 1 << 20;
/** Of QEMU's isa-debug-exit when 0 is written to it. */
const QEMU_EXIT = 1;
const QEMU = 'qemu-system-x86_64';
const QEMU_FLAGS = (image, append) => [
  ...['-accel', 'tcg', '-display', 'none', '-no-reboot', '-m', '128', '-serial', 'stdio', '-monitor', 'none'],
  ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', image, '-append', append],
];

/** Runs a process that says "B", and "E result" when it is done. */
function listened(file, args, status) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let errors = '';
    let [began, ended] = [0, 0];
    child.stdout.on('data', data => {
      const now = performance.now();
      text += data;
      if (!began && text.includes('B\n')) began = now;
      if (!ended && /E [0-9a-f]{16}/.test(text)) ended = now;
    });
    child.stderr.on('data', data => (errors += data));
    child.on('error', reject);
    child.on('close', code => {
      const result = /E ([0-9a-f]{16})/.exec(text)?.[1];
      if (code !== status || !result || !began)
        reject(new Error(`${file} ended with ${code}: ${errors.trim() || text}`));
      else resolve({ seconds: (ended - began) / 1000, result });
    });
  });
}

export const native = image => ({ run: (what, n) => listened(image, [String(what), String(n)], 0) });

/** undefined where QEMU is not installed. */
export function qemu(image, extra = []) {
  if (spawnSync(QEMU, ['--version']).status !== 0) return undefined;
  return { run: (what, n) => listened(QEMU, [...extra, ...QEMU_FLAGS(image, `${what} ${n}`)], QEMU_EXIT) };
}

/** Guest memory: the image from 4 MiB on, then the stack, tables and where `entry` returns to. */
const MEMORY = 32 * MIB;
const STACK = 24 * MIB;
const RETURN = 24 * MIB + 0x1000;
const TABLES = 25 * MIB;

/**
 * The emulated processor of a build, in ring 0 under pages of 4 KiB, as QEMU's guest is.
 * @param {string} dist folder of the compiled sources
 */
export async function emulated(image, dist) {
  const { Cpu, CR0, CR4, EFER } = await import(join(dist, 'machine/x86/cpu.js'));
  const { REG } = await import(join(dist, 'isa/x86_64.js'));
  const { parseElf } = await import(join(dist, 'isa/elf.js'));
  const elf = parseElf(readFileSync(image), image);
  const entry = elf.symbols.find(s => s.name === 'entry').at;
  const cpu = new Cpu(MEMORY);
  const put = (at, value) => cpu.memory.hostStore(at, 8, BigInt(value));
  for (const { physical, data } of elf.segments) cpu.memory.hostWrite(Number(physical), data);
  cpu.memory.hostStore(RETURN, 1, 0xf4n); // hlt
  put(TABLES, (TABLES + 0x1000) | 3);
  put(TABLES + 0x1000, (TABLES + 0x2000) | 3);
  for (let n = 0; n < MEMORY / (2 * MIB); n++) put(TABLES + 0x2000 + 8 * n, (TABLES + 0x3000 + 0x1000 * n) | 3);
  for (let n = 0; n < MEMORY / 4096; n++) put(TABLES + 0x3000 + 8 * n, (n * 4096) | 3);
  cpu.set(REG.cr3, BigInt(TABLES));
  cpu.set(REG.cr4, CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT);
  cpu.set(REG.efer, EFER.LME | EFER.LMA);
  cpu.set(REG.cr0, CR0.PE | CR0.MP | CR0.NE | CR0.WP | CR0.PG);
  cpu.set(REG.cs, 0x8n);
  return {
    cpu,
    REG,
    /** @returns seconds, instructions and the result; or `missing`: what is not implemented */
    run(what, n) {
      cpu.set(REG.rip, entry);
      cpu.set(REG.rdi, BigInt(what));
      cpu.set(REG.rsi, BigInt(n));
      cpu.set(REG.rsp, BigInt(STACK - 8));
      put(STACK - 8, RETURN);
      const ticks = cpu.machine.ticks;
      const began = performance.now();
      let exit;
      do exit = cpu.machine.run(ticks + 1e12);
      while (exit.kind === 'busy');
      const seconds = (performance.now() - began) / 1000;
      if (exit.kind === 'unimplemented') return { missing: exit.what };
      if (exit.kind !== 'halt') throw new Error(`the emulated program ended with ${JSON.stringify(exit, String)}`);
      const result = BigInt.asUintN(64, cpu.get(REG.rax)).toString(16).padStart(16, '0');
      return { seconds, result, instructions: cpu.machine.ticks - ticks };
    },
  };
}
