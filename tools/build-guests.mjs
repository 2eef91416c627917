// Builds the built-in guests from src/systems/<system>/guests/*.c into recordings/<system>/*.elf. Needs gcc for x86-64.
// A guest is one file; what the guests of a system share lies in guests/lib and is linked to each, less what it does not use.
// The images are committed, so only who changes a guest needs to run this. Arguments choose guests: xen/user-pagetables.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const systems = join(root, 'src', 'systems');
// Frame pointers, so that call stacks can be unwound; no SSE, no red zone: this is kernel code. No paths of this machine.
const FLAGS =
  '-O1 -g0 -ffreestanding -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-stack-protector -fno-pic -no-pie -static -nostdlib -mno-red-zone -mgeneral-regs-only -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -Wall -Wextra -Werror -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments'.split(
    ' ',
  );
// What a system adds. Xen's guests run at -2 GiB; functions keep their names in call stacks (none is inlined for being called
// once), and those of lib that a guest does not call are left out.
const FLAGS_OF = {
  xen: ['-mcmodel=kernel', '-fno-inline-functions-called-once', '-ffunction-sections', '-Wl,--gc-sections'],
};

if (spawnSync('gcc', ['--version']).status !== 0) {
  process.stderr.write(
    'rewalk: build:guests needs gcc (Debian: apt-get install gcc); the built images are in recordings/ already\n',
  );
  process.exit(2);
}
const wanted = process.argv.slice(2);
let failed = false;
for (const system of readdirSync(systems)) {
  const dir = join(systems, system, 'guests');
  if (!existsSync(dir)) continue;
  mkdirSync(join(root, 'recordings', system), { recursive: true });
  const lib = existsSync(join(dir, 'lib')) ? readdirSync(join(dir, 'lib')).filter(f => /\.[cS]$/.test(f)) : [];
  const flags = [...FLAGS, ...(FLAGS_OF[system] ?? []), '-T', join(dir, 'guest.ld')];
  for (const source of readdirSync(dir).filter(f => f.endsWith('.c'))) {
    const guest = `${system}/${basename(source, '.c')}`;
    if (wanted.length > 0 && !wanted.includes(guest)) continue;
    const image = join(root, 'recordings', `${guest}.elf`);
    const sources = [join(dir, source), ...lib.map(f => join(dir, 'lib', f))];
    const { status } = spawnSync('gcc', [...flags, '-o', image, ...sources], { stdio: 'inherit' });
    if (status === 0) process.stdout.write(`${guest}.elf\n`);
    else failed = true;
  }
}
process.exit(failed ? 1 : 0);
