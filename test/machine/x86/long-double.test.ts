/**
 * long double, and the C library's printf of it: what a program prints here is what it prints on the real processor.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { runProcess } from './process.js';

const folder = mkdtempSync(join(tmpdir(), 'rewalk-long-double-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
/** Needs the real processor, and gcc. */
const isAble = process.arch === 'x64' && process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0;
const able = isAble ? it : it.skip;

able.each(['-O0', '-O2'])('a program of gcc %s that computes and prints long double says the same natively', level => {
  const program = join(folder, `long-double${level}`);
  const source = fileURLToPath(new URL('long-double.c', import.meta.url));
  const gcc = spawnSync('gcc', [level, '-static', '-no-pie', '-o', program, source, '-lm'], { encoding: 'utf8' });
  expect(gcc.stderr).not.toMatch(/error/);
  const native = spawnSync(program, { encoding: 'utf8' });
  expect(native.stdout.split('\n').length).toBeGreaterThan(30);
  const { output, code, ticks } = runProcess(readFileSync(program), program);
  expect(output).toBe(native.stdout);
  expect(code).toBe(native.status);
  expect(runProcess(readFileSync(program), program, 1009)).toEqual({ output, code, ticks });
});
