import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/**
 * Who may import whom. A folder may always import itself. A system has three parts: its names, its model (live) and its
 * rules (replay); one system never imports another.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  isa: ['base'],
  events: ['base'],
  recording: ['base', 'isa', 'events'],
  state: ['base', 'isa', 'events', 'recording'],
  views: ['base', 'isa', 'events', 'recording', 'state'],
  compare: ['base', 'isa', 'events', 'recording', 'state', 'views'],
  report: ['base', 'isa', 'events', 'recording', 'state', 'views', 'compare'],
  export: ['base', 'isa', 'events', 'recording', 'state', 'views'],
  tui: ['base', 'isa', 'events', 'recording', 'state', 'views', 'compare', 'report'],
  machine: ['base', 'isa', 'events'],
  names: ['base', 'events'],
  model: ['base', 'isa', 'events', 'machine', 'names', 'kernels'],
  rules: ['base', 'isa', 'events', 'recording', 'state', 'views', 'names'],
  kernels: ['base', 'isa', 'events', 'machine'],
  session: ['base', 'isa', 'events', 'recording', 'machine', 'model', 'kernels'],
  cli: [
    'base',
    'isa',
    'events',
    'recording',
    'state',
    'views',
    'compare',
    'report',
    'export',
    'rules',
    'tui',
    'machine',
    'session',
    'kernels',
  ],
};
/** Debt: imports that break the table and why they are still there. Keep it empty. */
const DEBT: readonly string[] = [];
/** Verbs that execute: the only files of cli that may load the live half. */
const LIVE = new Set(['machine', 'session', 'model', 'kernels']);
const LIVE_VERBS: readonly string[] = ['record', 'mem', 'expand', 'again', 'verify'].map(verb => `src/cli/${verb}.ts`);

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const src = join(root, 'src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(f => /\.tsx?$/.test(f));

/** The part of the program a file is in: its folder, and in a system which of its three parts; what is in none is its names. */
function partOf(file: string): { part: string; system: string } {
  const [folder, system, inside, ...deeper] = file.split('/');
  if (folder !== 'systems') return { part: folder!, system: '' };
  return { part: deeper.length > 0 ? inside! : 'names', system: system! };
}

const imports = files.flatMap(file => {
  const text = readFileSync(join(src, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, to]) => ({
    from: relative(root, join(src, file)),
    ...partOf(file),
    to: partOf(relative(src, resolve(dirname(join(src, file)), to!))),
  }));
});

it('imports flow one way: guest, machine, events, recording, state, views, interface', () => {
  const broken = imports
    .filter(({ part, to }) => part !== to.part && !MAY_IMPORT[part]?.includes(to.part))
    .map(i => `${i.from} -> ${i.to.part}`);
  expect(broken.filter(b => !DEBT.includes(b))).toEqual([]);
});

it('keeps systems apart', () => {
  const broken = imports.filter(i => i.system && i.to.system && i.system !== i.to.system).map(i => i.from);
  expect(broken).toEqual([]);
});

it('loads the live half only from verbs that execute', () => {
  const broken = imports
    .filter(i => i.part === 'cli' && LIVE.has(i.to.part) && !LIVE_VERBS.includes(i.from))
    .map(i => i.from);
  expect(broken).toEqual([]);
});

it('loads nothing that encodes with the reader', () => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, to] of text.matchAll(/^(?:import|export) (?!type ).*?from '(\.[^']+)\.js'/gms))
      visit(join(dirname(file), `${to}.ts`));
  };
  visit('src/recording/reader.ts');
  expect(reached).toContain('src/recording/column-decode.ts');
  expect([...reached].filter(file => /encode|compress|scribe|loops/.test(file))).toEqual([]);
});

it('sees the imports it judges', () => {
  expect(imports.length).toBeGreaterThan(50);
});
