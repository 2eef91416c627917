/** The bare machine, as a system that can be booted and resumed. */
import { PAGE_BYTES } from '../../../base/brand.js';
import { Trouble } from '../../../base/trouble.js';
import type { SystemModel } from '../../../machine/system.js';
import { Cpu } from '../../../machine/x86/cpu.js';
import { LEXICON } from '../names.js';
import { Bare } from './bare.js';
import { load } from './load.js';
import { decode } from './saved.js';

const MIB = 2 ** 20;

export const BARE: SystemModel = {
  id: 'bare',
  isa: 'x86_64',
  lexicon: LEXICON,
  memoryBytes: 32 * MIB,
  boot({ image, name, guest, memoryBytes, ramdisk, commandLine, input }) {
    if (ramdisk || commandLine !== undefined || input !== undefined)
      throw new Trouble(`${name}: a bare guest is given no ramdisk, no command line and no input`);
    const cpu = new Cpu(memoryBytes);
    const elf = load(cpu, image, name);
    const code = elf.segments
      .filter(s => s.flags.execute)
      .map(s => [Number(s.virtual), Number(s.virtual) + s.memoryBytes] as const);
    return {
      symbols: elf.symbols,
      start(sinks) {
        const host = new Bare(cpu, code, sinks);
        host.start(guest);
        return host;
      },
    };
  },
  resume(memoryBytes, state, restoreMachine, sinks) {
    const saved = decode(state, memoryBytes / PAGE_BYTES);
    const cpu = new Cpu(memoryBytes);
    restoreMachine(cpu);
    const host = new Bare(cpu, saved.code, sinks);
    host.restore(saved);
    return host;
  },
};
