/**
 * The root table of a guest's process. A recording tells which task runs (task events) and which root is loaded (root
 * events), but a kernel loads the next task's root before it changes tasks, and threads of the kernel borrow roots. What is
 * sure is a system call: it comes from the process's own code, on the process's own tables.
 */
import type { Frame } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import type { Block } from '../events/block.js';
import { KIND, type Space } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { findEvent } from '../state/find.js';
import { rootAt } from './slots.js';

/**
 * The root of process `pid` just after event `seq`: that of its last system call before.
 * @throws Trouble where the process made none yet, or its tables are gone
 */
export function* rootOfProcess(source: Source, space: Space, pid: number, seq: number): Work<Frame> {
  const syscall = (source.lexicon.words.class ?? []).indexOf('syscall');
  const isTask = (own: boolean) => ({
    kinds: ['task'] as const,
    where: ({ col, row }: Block, i: number) => (col.task.pid[row[i]!] === pid) === own,
  });
  let known = false;
  for (let end = seq; end >= 0; ) {
    // One of its turns: from its task event to the next one's.
    const turn = yield* findEvent(source, end, -1, isTask(true));
    if (turn < 0) break;
    known = true;
    const next = yield* findEvent(source, turn + 1, 1, isTask(false));
    const last = next < 0 ? seq : Math.min(next - 1, seq);
    const call = yield* findEvent(source, last, -1, {
      where: ({ kind, col, row, first }, i) =>
        first + i <= turn || (kind[i] === KIND.call && col.call.class[row[i]!] === syscall),
    });
    if (call > turn) {
      const { frame } = yield* rootAt(source, { space, role: 'kernel' }, call);
      const gone = yield* findEvent(source, call, 1, {
        kinds: ['release'],
        where: ({ col, row, first }, i) => first + i > seq || col.release.table[row[i]!] === frame,
      });
      if (gone >= 0 && gone <= seq)
        throw new Trouble(`${source.name}: process ${pid} is gone: its root table was released by #${gone}`);
      return frame;
    }
    end = turn - 1;
  }
  throw new Trouble(
    known
      ? `${source.name}: process ${pid} made no system call before #${seq}, so its root is not known; name one with --root`
      : `${source.name}: no process ${pid} ran before #${seq}; rewalk log ${source.name} --kind task lists them`,
  );
}
