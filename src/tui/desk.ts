/**
 * What runs the debugger between key presses. Keys queue up; each is an action driven in slices. Panes are computed when
 * what they depend on has changed: cheap ones at once, so that a key is answered in one frame, the others in slices behind
 * it, the newest question first. Esc stops what is running.
 */
import { reasonOf, Trouble } from '../base/trouble.js';
import type { Progress, Watch, Work } from '../base/work.js';
import { type Action, note } from './actions/action.js';
import { typed } from './actions/prompt.js';
import { bindingOf } from './keys.js';
import { layoutOf } from './layout.js';
import { leaveTyping, typeKey } from './live.js';
import type { Broken } from './outside.js';
import { detailLines } from './panes/detail.js';
import { eventLines, eventsAround } from './panes/events.js';
import { registerLines } from './panes/registers.js';
import { spaceLines } from './panes/space.js';
import { timelineLines } from './panes/timeline.js';
import { type Line, type Lines, line, span } from './screen/text.js';
import { equivalent } from './shell.js';
import type { PaneId, Ui } from './state.js';
import { driveTask, type Task } from './task.js';
import type { World } from './world.js';

/** A pane: what its lines depend on, and how they come about. */
interface Pane {
  /** Answered within the frame of the key; others come behind it. */
  readonly quick: boolean;
  key(ui: Ui, world: World): string;
  lines(ui: Ui, world: World, size: { width: number; height: number }): Task<Lines>;
}
const now = (lines: (ui: Ui, world: World, size: { width: number; height: number }) => Line[]): Pane['lines'] =>
  // biome-ignore lint/correctness/useYield: answers at once
  function* (ui, world, size) {
    return lines(ui, world, size);
  };
const place = (ui: Ui): string => `${ui.at.seq}.${ui.at.sub ?? ''}`;
const folds = (ui: Ui): string => `${ui.folded} ${ui.unlike.join()}`;
/** What is compared by identity: the state's values are never changed, only replaced. */
const identities = new WeakMap<object, number>();
let counted = 0;
function identity(value: object | undefined): number {
  if (!value) return 0;
  if (!identities.has(value)) identities.set(value, ++counted);
  return identities.get(value)!;
}

/** The console of the live run: answered at once, as a terminal does. */
const typingLines = now((_, world) => world.outside.live?.lines() ?? []);

const PANES: Readonly<Record<PaneId, Pane>> = {
  timeline: {
    quick: true,
    key: (ui, world) =>
      `${place(ui)} ${ui.window.from} ${ui.window.to} ${ui.mark} ${world.broken.length} ${identity(world.notes.all)} ${world.source.count}`,
    lines: now((ui, world, { width }) => timelineLines(ui, world, width)),
  },
  events: {
    quick: true,
    key: (ui, world) =>
      `${place(ui)} ${ui.filter} ${ui.mark} ${folds(ui)} ${identity(world.notes.all)} ${world.source.count}`,
    lines: function* (ui, world, { height }) {
      return eventLines(ui, world, yield* eventsAround(ui, world, height));
    },
  },
  registers: {
    quick: true,
    key: ui => `${place(ui)} ${ui.focus === 'registers'} ${ui.scroll.registers.cursor}`,
    lines: now(registerLines),
  },
  space: {
    quick: false,
    key: ui => `${place(ui)} ${ui.mark} ${identity(ui.markView)} ${identity(ui.view)} ${ui.expanded}`,
    lines: spaceLines,
  },
  detail: {
    quick: false,
    key: (ui, world) =>
      ui.typing
        ? `live ${world.outside.live?.version}`
        : ui.topic === 'answer'
          ? `answer ${identity(ui.answer)}`
          : ui.topic === 'breaks'
            ? `breaks ${identity(ui.breaks)}`
            : `${place(ui)} ${ui.topic} ${identity(ui.thing)} ${identity(ui.view)} ${identity(world.notes.all)}`,
    lines: (ui, world, size) => (ui.typing ? typingLines(ui, world, size) : detailLines(ui, world, size)),
  },
};
const ORDER: readonly PaneId[] = ['timeline', 'events', 'registers', 'detail', 'space'];
/** A quick pane may take this long in one go (a rare filter takes longer); then it is finished behind the frame. */
const QUICK_STEPS = 64;
/** What takes longer says how far it is. */
const PATIENCE_MS = 300;
const PROGRESS_MS = 100;
const CHECK_SLICE_MS = 4;

/** A key or something else to be done, and whether a person asked for it. */
interface Queued {
  readonly what: string | Action;
  readonly asked: boolean;
}
interface Shown {
  key: string;
  lines: Lines;
}

export class Desk {
  ui: Ui;
  readonly world: World;
  private readonly shown = new Map<PaneId, Shown>();
  private readonly changed: () => void;
  private readonly failed: (error: unknown) => void;
  /** Keys, and what else is to be done in turn. */
  private readonly queue: Queued[] = [];
  private working = false;
  /** Slow panes wait so long after a key, and frames while keys wait: whoever holds one down need not see all that goes by. */
  private readonly patience: number;
  private pressed = 0;
  private drawn = 0;
  private wake: (() => void) | undefined;
  private acting = false;
  /** What looks for broken rules behind everything else; undefined when it is through, or there are no rules. */
  private checking: Work<readonly Broken[]> | undefined;
  private stop: AbortController | undefined;
  /** Stops the slow pane that is being computed. */
  private yielding: AbortController | undefined;
  /** What runs now and how far it is, for the bottom line. */
  progress: { what: string; share: number } | undefined;

  /**
   * @param changed called when there is something new to draw
   * @param failed called with an error of ours; nothing works after it
   * @param patience milliseconds after a key before slow panes are computed, and between frames while keys wait
   */
  constructor(ui: Ui, world: World, changed: () => void, failed: (error: unknown) => void = rethrow, patience = 0) {
    this.ui = ui;
    this.world = world;
    this.changed = changed;
    this.failed = failed;
    this.patience = patience;
    if (world.outside.live) world.outside.live.changed = () => this.lively();
    this.quick();
    void world.outside.check(world.source).then(checking => {
      this.checking = checking;
      void this.work();
    }, failed);
  }
  linesOf(pane: PaneId): Lines {
    return this.shown.get(pane)?.lines ?? [];
  }
  /** True when nothing is left to do: every pane shows the present. */
  get idle(): boolean {
    return !this.working && this.queue.length === 0;
  }
  /** True when every pane shows the present, whatever is still looked for behind it. */
  get settled(): boolean {
    return this.queue.length === 0 && !this.acting && ORDER.every(id => this.isCurrent(id));
  }
  private isCurrent(id: PaneId): boolean {
    return this.sizeOf(id).height <= 0 || this.shown.get(id)?.key === this.keyOf(id);
  }
  resize(size: Ui['size']): void {
    this.ui = { ...this.ui, size };
    this.shown.clear();
    this.quick();
    this.changed();
    void this.work();
  }
  /** A key: answered in turn. Esc and Ctrl-C stop what runs. */
  press(key: string): void {
    if (!this.ui.typing && (key === 'escape' || key === 'C-c') && this.stop && this.progress) {
      this.stop.abort(new Error('stopped'));
      this.queue.length = 0;
      return;
    }
    this.enqueue(key);
  }
  /**
   * Something to be done in turn, behind the keys that were pressed before.
   * @param asked a person asked for it: the message that answered what was asked before goes away
   */
  enqueue(what: string | Action, asked = true): void {
    this.queue.push({ what, asked });
    this.pressed = performance.now();
    this.wake?.();
    this.yielding?.abort(new Error('something newer is asked'));
    void this.work();
  }

  /** Works until nothing is left; one at a time. */
  async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    try {
      while (!this.ui.quit) {
        const next = this.queue.shift();
        if (next !== undefined) {
          this.acting = true;
          await this.act(next);
          this.acting = false;
        } else if (!(await this.slow()) && !(await this.check())) break;
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.working = false;
      this.changed();
    }
  }
  private async act({ what: next, asked }: Queued): Promise<void> {
    const { ui, world } = this;
    const binding = ui.prompt || ui.typing || typeof next !== 'string' ? undefined : bindingOf(next, ui.focus);
    const action = typeof next === 'string' ? this.actionOf(next) : next;
    if (!action) return;
    const before = ui.message;
    const after = await this.run(binding?.does ?? 'looking', watch => action(ui, world, watch));
    if (!after) {
      this.ui = note({ ...ui, prompt: undefined }, 'stopped');
    } else {
      const message = asked && after.message === before ? undefined : after.message;
      const { size } = this.ui; // the terminal may have changed meanwhile
      this.ui = { ...after, size, message, shell: equivalent(after, world, ui) };
    }
    if (this.queue.length > 0 && performance.now() - this.drawn < this.patience) return; // more was typed: all at once
    this.drawn = performance.now();
    this.quick();
    this.changed();
    await new Promise(resolve => setImmediate(resolve)); // the frame is out before anything slow begins
  }
  private actionOf(key: string): Action | undefined {
    const { ui } = this;
    if (ui.typing) return typeKey(key);
    return ui.prompt ? (u, w, watch) => typed(u, w, key, watch) : bindingOf(key, ui.focus)?.action;
  }
  /** The live run printed something, or is over. */
  private lively(): void {
    if (this.ui.typing && this.world.outside.live?.over) this.enqueue(leaveTyping);
    if (!this.ui.typing) return;
    this.quick();
    this.changed();
  }
  /** Computes the first slow pane that is not up to date, unless a key comes in between. False when all are. */
  private async slow(): Promise<boolean> {
    const { ui, world } = this;
    const pane = ORDER.find(id => !this.isCurrent(id));
    if (!pane) return false;
    if (await this.interrupted()) return true;
    const key = this.keyOf(pane);
    const size = this.sizeOf(pane);
    const lines = await this.run(pane, () => withTrouble(PANES[pane].lines(ui, world, size)), true);
    if (lines || this.queue.length === 0) this.put(pane, key, lines ?? [line(span('stopped', 'dim'))]);
    this.changed();
    return true;
  }
  /** Waits out the time after a key; true if another came, or the screen was changed, meanwhile. */
  private async interrupted(): Promise<boolean> {
    const { ui } = this;
    const rest = this.pressed + this.patience - performance.now();
    if (this.patience === 0 || rest <= 0) return false;
    await new Promise<void>(resolve => {
      this.wake = resolve;
      setTimeout(resolve, rest);
    });
    this.wake = undefined;
    return this.queue.length > 0 || this.ui !== ui;
  }
  /** Looks on for broken rules while nothing else is asked. False when there is no more to look for. */
  private async check(): Promise<boolean> {
    if (!this.checking) return false;
    const end = performance.now() + CHECK_SLICE_MS;
    while (performance.now() < end) {
      let step: IteratorResult<Progress, readonly Broken[]>;
      try {
        step = this.checking.next();
      } catch (error) {
        if (!(error instanceof Trouble)) throw error;
        this.checking = undefined; // a damaged stretch: whoever goes there is told
        return false;
      }
      if (!step.done) continue;
      this.checking = undefined;
      this.world.broken = step.value;
      this.quick();
      return false;
    }
    await new Promise(resolve => setImmediate(resolve));
    return true;
  }
  private async run<T>(what: string, begin: (watch: Watch) => Task<T>, yielding = false): Promise<T | undefined> {
    const stop = new AbortController();
    this.stop = stop;
    if (yielding) this.yielding = stop;
    let told = performance.now() + PATIENCE_MS - PROGRESS_MS;
    const onProgress = ({ done, total }: Progress): void => {
      if (performance.now() - told < PROGRESS_MS) return;
      told = performance.now();
      this.progress = { what, share: total > 0 ? done / total : 0 };
      this.changed();
    };
    // What waits for another process says nothing of how far it is.
    const waiting = setTimeout(() => onProgress({ done: 0, total: 0 }), PATIENCE_MS + 10);
    const watch = { signal: stop.signal, onProgress };
    try {
      return await driveTask(begin(watch), watch);
    } catch (error) {
      if (stop.signal.aborted) return undefined;
      if (!(error instanceof Trouble) || yielding) throw error;
      this.ui = note({ ...this.ui, prompt: undefined }, reasonOf(error), 'warning');
      return this.ui as T; // only actions come here, and theirs is a state of the screen
    } finally {
      clearTimeout(waiting);
      this.progress = undefined;
      this.stop = undefined;
      this.yielding = undefined;
    }
  }
  /** The panes that are answered at once. */
  private quick(): void {
    for (const id of ORDER) {
      const pane = PANES[id];
      const size = this.sizeOf(id);
      if (
        !(pane.quick || (this.ui.typing && id === 'detail')) ||
        size.height === 0 ||
        this.shown.get(id)?.key === this.keyOf(id)
      )
        continue;
      const work = withTrouble(pane.lines(this.ui, this.world, size));
      for (let n = 0; n < QUICK_STEPS; n++) {
        const step = work.next();
        if (!step.done) continue;
        this.put(id, this.keyOf(id), step.value);
        break;
      }
    }
  }
  private put(pane: PaneId, key: string, lines: Lines): void {
    this.shown.set(pane, { key, lines });
    this.world.shown.set(pane, lines);
  }
  private keyOf(id: PaneId): string {
    const { width, height } = this.sizeOf(id);
    return `${width}x${height} ${PANES[id].key(this.ui, this.world)}`;
  }
  private sizeOf(id: PaneId): { width: number; height: number } {
    return layoutOf(this.ui).find(b => b.pane === id) ?? { width: 0, height: 0 };
  }
}
/** What the recording cannot answer is said where the answer would be. */
function* withTrouble(lines: Task<Lines>): Task<Lines> {
  try {
    return yield* lines;
  } catch (error) {
    if (error instanceof Trouble) return [line(span(error.message, 'warning'))];
    throw error;
  }
}
const rethrow = (error: unknown): never => {
  throw error;
};
