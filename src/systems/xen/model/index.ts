/** Xen with one PV domain, as a system that can be booted and resumed. */
import { PAGE_BYTES } from '../../../base/brand.js';
import { Trouble } from '../../../base/trouble.js';
import { REG } from '../../../isa/x86_64.js';
import { linuxIn } from '../../../kernels/linux/linux.js';
import type { SystemModel } from '../../../machine/system.js';
import { Cpu, CR0, CR4, EFER } from '../../../machine/x86/cpu.js';
import { LEXICON } from '../names.js';
import { build, PORTS } from './build.js';
import { FLAT_CS, FLAT_SS, GDT_LIMIT, XenTables } from './descriptors.js';
import { parseImage } from './image.js';
import { newIo } from './io/io.js';
import { GDT_AT, layoutFor } from './layout.js';
import { decode, TYPING_MAX } from './saved.js';
import { newVcpu } from './vcpu.js';
import { type CodeRanges, Xen } from './xen.js';

const MIB = 2 ** 20;
/** As the kernel sees it; the real one is the same but for what Xen needs. */
const GUEST_CR4 = CR4.PAE | CR4.PGE | CR4.PSE | CR4.OSFXSR | CR4.OSXMMEXCPT;
const IF = 0x200n;

/** Memory is the domain's; Xen's own comes on top, as much as it takes. */
const layoutOf = (memoryBytes: number) => layoutFor(memoryBytes / PAGE_BYTES);

/** The processor as the guest's first instruction finds it (xg_dom_x86.c, vcpu_x86_64). */
function setUp(
  cpu: Cpu,
  root: number,
  { entry, stack, startInfo }: { entry: bigint; stack: bigint; startInfo: bigint },
): void {
  const registers: Readonly<Record<string, bigint>> = {
    rip: entry,
    rsp: stack,
    rsi: startInfo,
    rflags: IF,
    cs: FLAT_CS,
    ss: FLAT_SS,
    gdtr_base: GDT_AT,
    gdtr_limit: GDT_LIMIT,
    efer: EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE,
    cr4: GUEST_CR4,
    cr3: BigInt(root) * BigInt(PAGE_BYTES),
    cr0: CR0.PE | CR0.MP | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.PG,
  };
  for (const [register, value] of Object.entries(registers)) cpu.set(REG[register]!, value);
}

const bootXen: SystemModel['boot'] = ({ image: bytes, name, guest, memoryBytes, ramdisk, commandLine, input }) => {
  const image = parseImage(bytes, name);
  if (memoryBytes < MIB || memoryBytes % PAGE_BYTES !== 0)
    throw new Trouble(`${name}: a domain of ${memoryBytes} bytes; it takes a MiB at least, in pages of 4 KiB`);
  const layout = layoutOf(memoryBytes);
  const cpu = new Cpu(layout.frames * PAGE_BYTES);
  new XenTables(cpu.memory, layout).write();
  const domain = build(cpu.memory, layout, image, { ramdisk, commandLine });
  const linux = linuxIn(image.elf);
  const typing = Buffer.from(input ?? '', 'utf8').toString('latin1');
  if (typing.length > TYPING_MAX)
    throw new Trouble(`${name}: an input of ${typing.length} bytes; ${TYPING_MAX} are allowed`);
  const code: CodeRanges = image.elf.segments
    .filter(s => s.flags.execute)
    .map(s => [s.virtual, s.virtual + BigInt(s.memoryBytes)] as const);
  return {
    symbols: linux?.symbols ?? image.elf.symbols,
    regions: linux?.regions ?? [],
    start(sinks) {
      const { generation, queue } = image;
      setUp(cpu, domain.root, domain);
      const vcpu = newVcpu(FLAT_SS, domain.stack, GUEST_CR4);
      const console = { mfn: domain.console, port: PORTS.console };
      const xenstore = { mfn: domain.xenstore, port: PORTS.xenstore };
      const io = newIo(layout.sharedInfo * PAGE_BYTES, console, xenstore, typing);
      const host = new Xen({ cpu, layout, generation, vcpu, io, code, queue, linux: linux?.facts }, sinks);
      host.start(guest, domain.mfns, domain.root);
      return host;
    },
  };
};

export const XEN: SystemModel = {
  id: 'xen',
  isa: 'x86_64',
  lexicon: LEXICON,
  memoryBytes: 16 * MIB,
  boot: bootXen,
  resume(memoryBytes, state, restoreMachine, sinks) {
    const layout = layoutOf(memoryBytes);
    const saved = decode(state, layout.frames);
    const { generation, vcpu, io, code, queue, linux } = saved;
    const cpu = new Cpu(layout.frames * PAGE_BYTES);
    restoreMachine(cpu);
    const host = new Xen({ cpu, layout, generation, vcpu, io, code, queue, linux }, sinks);
    host.restore(saved);
    return host;
  },
};
