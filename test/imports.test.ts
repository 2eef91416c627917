import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** Who may import whom. A folder may always import itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  isa: ['base'],
  events: ['base'],
  recording: ['base', 'isa', 'events'],
  state: ['base', 'isa', 'events', 'recording'],
  views: ['base', 'isa', 'events', 'recording', 'state'],
  compare: ['base', 'isa', 'events', 'recording', 'state', 'views'],
  report: ['base', 'isa', 'events', 'recording', 'state', 'views', 'compare'],
  machine: ['base', 'isa', 'events'],
  session: ['base', 'isa', 'events', 'recording', 'machine'],
  cli: ['base', 'isa', 'events', 'recording', 'state', 'views', 'compare', 'report', 'machine', 'session'],
};
/** Debt: imports that break the table and why they are still there. Keep it empty. */
const DEBT: readonly string[] = [];
/** Verbs that execute: the only files of cli that may load the live half. */
const LIVE = new Set(['machine', 'session']);
const LIVE_VERBS: readonly string[] = ['src/cli/record.ts'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const src = join(root, 'src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(f => /\.tsx?$/.test(f));

const imports = files.flatMap(file => {
  const text = readFileSync(join(src, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, to]) => ({
    from: relative(root, join(src, file)),
    folder: file.split('/')[0]!,
    to: relative(src, resolve(dirname(join(src, file)), to!)).split('/')[0]!,
  }));
});

it('imports flow one way: guest, machine, events, recording, state, views, interface', () => {
  const broken = imports
    .filter(i => i.folder !== i.to && !MAY_IMPORT[i.folder]?.includes(i.to))
    .map(i => `${i.from} -> ${i.to}`);
  expect(broken.filter(b => !DEBT.includes(b))).toEqual([]);
});

it('loads the live half only from verbs that execute', () => {
  const broken = imports
    .filter(i => i.folder === 'cli' && LIVE.has(i.to) && !LIVE_VERBS.includes(i.from))
    .map(i => i.from);
  expect(broken).toEqual([]);
});

it('sees the imports it judges', () => {
  expect(imports.length).toBeGreaterThan(50);
});
