/** double and float through the C library: what a program prints here is what it prints on the real processor. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { runProcess } from './process.js';

const folder = mkdtempSync(join(tmpdir(), 'rewalk-doubles-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const able =
  process.arch === 'x64' && process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0 ? it : it.skip; // needs the real processor and gcc
/** glibc chooses its mathematics by CPUID, and with fused multiply-add other last bits come out: natively too it shall not. */
const LIKE_OURS = { GLIBC_TUNABLES: 'glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2,-AVX,-SSE4_1' };

able.each(['-O0', '-O2', '-O3'])(
  'a program of gcc %s that computes and prints doubles says the same natively',
  level => {
    const program = join(folder, `doubles${level}`);
    const source = fileURLToPath(new URL('doubles.c', import.meta.url));
    const flags = [level, '-frounding-math', '-static', '-no-pie', '-o', program];
    const gcc = spawnSync('gcc', [...flags, source, '-lm'], { encoding: 'utf8' });
    expect(gcc.stderr).not.toMatch(/error/);
    const native = spawnSync(program, { encoding: 'utf8', env: { ...process.env, ...LIKE_OURS } });
    expect(native.stdout.split('\n').length).toBeGreaterThan(100);
    const { output, code } = runProcess(readFileSync(program), program);
    expect(output).toBe(native.stdout);
    expect(code).toBe(native.status);
  },
);
