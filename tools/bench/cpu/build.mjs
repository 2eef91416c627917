/** Builds the benchmark's images with gcc into .cache/bench; the names hold a hash of the sources, so it happens once. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flatProgram } from './flat.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..');
export const FLAT_FUNCTIONS = 5000;

const FLAGS = `-O2 -g0 -ffreestanding -fno-pic -no-pie -mno-red-zone -fno-stack-protector -fcf-protection=none
  -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -fno-math-errno -fno-jump-tables -I ${here}`.split(
  /\s+/,
);
const LINK =
  '-static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments'.split(
    ' ',
  );
const INTEGER = '-mgeneral-regs-only';
const IMAGES = {
  programs: {
    script: join(here, 'image.ld'),
    sources: {
      'start.S': [],
      'main.c': [INTEGER],
      'programs.c': [INTEGER],
      'floats.c': [],
      'flat.c': [INTEGER, '-O1'],
    },
  },
  tables: {
    script: join(root, 'src', 'systems', 'bare', 'guests', 'guest.ld'),
    sources: { 'tables.c': [INTEGER] },
  },
};

function gcc(args) {
  const made = spawnSync('gcc', args, { encoding: 'utf8' });
  if (made.error) throw new Error('gcc is not there (Debian: apt-get install gcc)');
  if (made.status !== 0) throw new Error(`gcc: ${made.stderr.trim()}`);
}

/**
 * @param {keyof typeof IMAGES} name
 * @returns {string} the image's file
 * @throws when gcc is not there or refuses
 */
export function image(name) {
  const { script, sources } = IMAGES[name];
  const textOf = source =>
    source === 'flat.c' ? flatProgram(FLAT_FUNCTIONS) : readFileSync(join(here, source), 'utf8');
  const hash = createHash('sha256').update(JSON.stringify([FLAGS, LINK, sources]));
  hash.update(readFileSync(script)).update(readFileSync(join(here, 'programs.h')));
  for (const source of Object.keys(sources)) hash.update(textOf(source));
  const cache = join(root, '.cache', 'bench');
  const file = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}.elf`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'making-'));
  try {
    if ('flat.c' in sources)
      process.stderr.write('rewalk: bench: compiling 300,000 instructions (once, half a minute)\n');
    const objects = Object.entries(sources).map(([source, flags]) => {
      const from = source === 'flat.c' ? join(folder, source) : join(here, source);
      if (source === 'flat.c') writeFileSync(from, textOf(source));
      const object = join(folder, `${source}.o`);
      gcc([...FLAGS, ...flags, '-c', '-o', object, from]);
      return object;
    });
    gcc([...FLAGS, ...LINK, '-T', script, '-o', join(folder, 'image'), ...objects]);
    renameSync(join(folder, 'image'), file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return file;
}
