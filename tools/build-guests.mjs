// Builds the built-in guests from src/systems/<system>/guests/*.c into recordings/<system>/*.elf. Needs gcc for x86-64.
// The images are committed, so only who changes a guest needs to run this.
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

if (spawnSync('gcc', ['--version']).status !== 0) {
  process.stderr.write(
    'rewalk: build:guests needs gcc (Debian: apt-get install gcc); the built images are in recordings/ already\n',
  );
  process.exit(2);
}
let failed = false;
for (const system of readdirSync(systems)) {
  const dir = join(systems, system, 'guests');
  if (!existsSync(dir)) continue;
  mkdirSync(join(root, 'recordings', system), { recursive: true });
  for (const source of readdirSync(dir).filter(f => f.endsWith('.c'))) {
    const image = join(root, 'recordings', system, `${basename(source, '.c')}.elf`);
    const { status } = spawnSync('gcc', [...FLAGS, '-T', join(dir, 'guest.ld'), '-o', image, join(dir, source)], {
      stdio: 'inherit',
    });
    if (status === 0) process.stdout.write(`${system}/${basename(image)}\n`);
    else failed = true;
  }
}
process.exit(failed ? 1 : 0);
