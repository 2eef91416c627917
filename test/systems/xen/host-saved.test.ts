/** The host's state in a checkpoint comes out of a file, which may be anything: it is taken, or refused as trouble. */
import { expect, test } from 'vitest';
import { Trouble } from '../../../src/base/trouble.js';
import { XEN } from '../../../src/systems/xen/model/index.js';
import { dice } from '../../state/consistent.js';
import { call, DATA, GATES_END, gate, HANDLERS, HYPERCALL, listening, MIB, run } from './guest.js';

const made = run([...call(HYPERCALL.trapTable, DATA), ...call(HYPERCALL.sched, 1n, 0n)], {
  data: [...gate(6, HANDLERS), ...gate(14, HANDLERS, 4), ...GATES_END],
});
const saved = Buffer.from(made.xen.save()).toString('latin1');
/** Resumes from a state as text; memory stays empty, which is the machine's business. */
function resume(text: string): void {
  const { log } = listening();
  XEN.resume(5 * MIB, Buffer.from(text, 'latin1'), () => {}, { log, intern: () => 0 });
}

test('what was saved is taken back as it was', () => {
  const { log } = listening();
  const again = XEN.resume(5 * MIB, Buffer.from(saved, 'latin1'), () => {}, { log, intern: () => 0 });
  expect(Buffer.from(again.save()).toString('latin1')).toBe(saved);
});

type Tree = { [key: string]: unknown };
const places = (tree: unknown, path: string[] = []): string[][] =>
  typeof tree === 'object' && tree !== null && path.length < 4
    ? Object.keys(tree)
        .slice(0, 12)
        .flatMap(key => [[...path, key], ...places((tree as Tree)[key], [...path, key])])
    : [];
const STRANGE = [
  null,
  -1,
  1e9,
  2 ** 60,
  0.5,
  'x',
  '0xffffffffffffffffn',
  '0x10000000000000000n',
  [],
  {},
  [[]],
  [-1],
  true,
];

test('a state in which anything is anything else is refused as trouble, or taken: nothing else happens', () => {
  const roll = dice(1);
  let refused = 0;
  let taken = 0;
  // A processor for each that is taken: not all of them.
  for (const path of places(JSON.parse(saved)).filter(() => roll(2) === 0)) {
    const tree = JSON.parse(saved) as Tree;
    const last = path.at(-1)!;
    const parent = path.slice(0, -1).reduce<Tree>((at, key) => at[key] as Tree, tree);
    const strange = STRANGE[roll(STRANGE.length + 1)];
    if (strange === undefined) delete parent[last];
    else parent[last] = strange;
    try {
      resume(JSON.stringify(tree));
      taken++;
    } catch (e) {
      expect(e, `${path.join('.')} = ${JSON.stringify(strange)}: ${(e as Error).stack}`).toBeInstanceOf(Trouble);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(20);
  expect(refused + taken).toBeGreaterThan(40);
});
test.for(['', '[]', 'null', '{', '{}', saved.slice(0, -1)])('a state that is no state is trouble: %#', text => {
  expect(() => resume(text)).toThrow(Trouble);
});
