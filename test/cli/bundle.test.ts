import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { VERBS } from '../../src/cli/verbs.js';

const dir = fileURLToPath(new URL('../../dist/cli', import.meta.url));
const files = new Map(
  readdirSync(dir)
    .filter(name => name.endsWith('.js'))
    .map(name => [name, readFileSync(join(dir, name), 'utf8')]),
);
/** The files that are loaded with these. */
function loadedWith(...names: string[]): string[] {
  const loaded = new Set<string>();
  const visit = (name: string): void => {
    if (loaded.has(name)) return;
    loaded.add(name);
    for (const [, to] of files.get(name)!.matchAll(/^(?:import|export) (?:[^"';]*? from )?"\.\/([^"]+)";/gm))
      visit(to!);
  };
  names.forEach(visit);
  return [...loaded];
}
/** The modules that are in a file: the bundler puts their names above them. */
const modulesIn = (name: string): string[] =>
  [...files.get(name)!.matchAll(/^\/\/ (\S+\.js)$/gm)].map(([, path]) => path!);

const verbFile = (verb: string): string => {
  const all = [...files.values()].join('\n');
  return new RegExp(`name: "${verb}",[^}]*?import\\("\\./([^"]+)"\\)`).exec(all)![1]!;
};
const modulesOf = (verb: string): string[] => loadedWith('main.js', verbFile(verb)).flatMap(modulesIn);

describe('the bundled command', () => {
  it('has a file for each verb, loaded when it is asked for', () => {
    const loaded = loadedWith('main.js');
    for (const { name } of VERBS) expect(loaded).not.toContain(verbFile(name));
  });

  it.each(['walk', 'map', 'blame', 'frame', 'log', 'show', 'regs', 'stats'])(
    '%s loads neither machine nor model nor interface',
    verb => {
      const modules = modulesOf(verb);
      expect(modules).toContain('recording/reader.js');
      expect(modules.filter(m => /^(machine|session|kernels|tui)\/|^systems\/.*\/model\//.test(m))).toEqual([]);
    },
  );

  it('is a few files for one question', () => {
    for (const verb of ['walk', 'map', 'blame', 'frame'])
      expect(loadedWith('main.js', verbFile(verb)).length, verb).toBeLessThan(15);
  });

  it('holds each module once, so that what it knows is known everywhere', () => {
    // A thread has files of its own, but shares them with the command.
    const all = [...files.keys()].flatMap(modulesIn);
    expect(all.filter((m, n) => all.indexOf(m) !== n)).toEqual([]);
    expect(modulesOf('record').filter(m => m.startsWith('machine/')).length).toBeGreaterThan(20);
  });
});
