/**
 * A guest's source is changed in one place, built and recorded again: what changed is found, in the function it was changed
 * in, and nothing else, though every address behind the change has moved. Needs gcc for x86-64, as `npm run build:guests` does.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { finish } from '../../src/base/work.js';
import type { Class } from '../../src/compare/classify.js';
import { compareRecordings } from '../../src/compare/recordings.js';
import { NOTHING_IGNORED } from '../../src/compare/side.js';
import { openRecording, type Recording } from '../../src/recording/reader.js';
import { diffReport } from '../../src/report/diff.js';
import { freshFile, recorded } from '../session/guests.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rewalk-sources-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Change {
  readonly what: Class;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Where in the guest it is to be found. */
  readonly where: RegExp;
  /** What one of the lines that differ says. */
  readonly says: RegExp;
}
const CHANGES: readonly Change[] = [
  {
    what: 'missing',
    file: 'user-pagetables.c',
    from: '  printk("mapping kernel into physical memory\\n");\n',
    to: '',
    where: /printk.* < start_kernel/,
    says: /^- .*mapping kernel into physical memory/,
  },
  {
    what: 'extra',
    file: 'user-pagetables.c',
    from: '  vmalloc_init();\n',
    to: '  vmalloc_init();\n  printk("vmalloc is there\\n");\n',
    where: /printk.* < start_kernel/,
    says: /^\+ .*vmalloc is there/,
  },
  {
    what: 'value',
    file: 'user-pagetables.c',
    from: 'starting init',
    to: 'Starting init',
    where: /printk.* < start_kernel/,
    says: /^~ text: .*starting init.* -> .*Starting init/,
  },
  {
    what: 'reordered',
    file: 'user-pagetables.c',
    from: `  queue_mmuext_op(MMUEXT_NEW_BASEPTR, pfn_to_mfn(PFN_DOWN(__pa(pgd))));
  queue_mmuext_op(MMUEXT_NEW_USER_BASEPTR, user ? pfn_to_mfn(PFN_DOWN(__pa(user))) : 0);
`,
    to: `  queue_mmuext_op(MMUEXT_NEW_USER_BASEPTR, user ? pfn_to_mfn(PFN_DOWN(__pa(user))) : 0);
  queue_mmuext_op(MMUEXT_NEW_BASEPTR, pfn_to_mfn(PFN_DOWN(__pa(pgd))));
`,
    where: /write_cr3/,
    says: /^- .*new_(user_)?baseptr/,
  },
  {
    what: 're-batched',
    file: 'user-pagetables.c',
    from: '  pgd_walk(pgd, pin_page); /* the user L4 has the same tables below it */\n',
    to: '  pgd_walk(pgd, pin_page);\n  xen_mc_issue();\n  xen_mc_batch();\n',
    where: /xen_mc_flush|xen_pgd_pin/,
    says: /^- .*batch style=multicall/,
  },
];

function built(name: string, change?: Change): Recording {
  const root = join(folder, name);
  const guests = join(root, 'src', 'systems', 'xen', 'guests');
  mkdirSync(join(root, 'tools'), { recursive: true });
  cpSync(join(ROOT, 'tools/build-guests.mjs'), join(root, 'tools/build-guests.mjs'));
  cpSync(join(ROOT, 'src/systems/xen/guests'), guests, { recursive: true });
  if (change) {
    const source = readFileSync(join(guests, change.file), 'utf8');
    expect(source).toContain(change.from);
    writeFileSync(join(guests, change.file), source.replace(change.from, change.to));
  }
  const { status, stderr } = spawnSync('node', ['tools/build-guests.mjs', 'xen/user-pagetables'], { cwd: root });
  expect(status, String(stderr)).toBe(0);
  const image = readFileSync(join(root, 'recordings/xen/user-pagetables.elf'));
  const out = freshFile();
  recorded({ system: 'xen', guest: 'user-pagetables', image, detail: 'mmu', out, memoryBytes: 10 * 2 ** 20 });
  return openRecording(out);
}

describe.skipIf(spawnSync('gcc', ['--version']).status !== 0)('a change of a guest source', () => {
  const base = built('base');
  it.for(CHANGES)('is found where it was made, as $what', change => {
    const other = built(change.what, change);
    const found = finish(compareRecordings(base, other));
    const { findings } = finish(diffReport(base, other, found, { context: 0, ignored: NOTHING_IGNORED }));
    const told = findings.map(f => ({ ...f, lines: f.lines.map(l => `${l.sign} ${l.text}`) }));
    const all = told.map(f => `${f.title} ${f.where}\n${f.lines.join('\n')}`).join('\n');
    expect(
      Object.keys(found.counted).filter(c => found.counted[c as Class] > 0),
      all,
    ).toEqual([change.what]);
    for (const f of told) expect(f.where, all).toMatch(change.where);
    expect(
      told.some(f => f.lines.some(l => change.says.test(l))),
      all,
    ).toBe(true);
  });
});
