/**
 * What runs the debugger between key presses. Keys queue up; each is an action driven in slices. Panes are computed when
 * what they depend on has changed: cheap ones at once, so that a key is answered in one frame, the others in slices behind
 * it, the newest question first. Esc stops what is running.
 */
import { drive, finish, type Progress, type Work } from '../base/work.js';
import type { Action } from './actions/action.js';
import { typed } from './actions/prompt.js';
import { bindingOf } from './keys.js';
import { layoutOf } from './layout.js';
import { detailLines } from './panes/detail.js';
import { eventLines, eventsAround } from './panes/events.js';
import { registerLines } from './panes/registers.js';
import { spaceLines } from './panes/space.js';
import { timelineLines } from './panes/timeline.js';
import type { Line } from './screen/text.js';
import { line, span } from './screen/text.js';
import { equivalent } from './shell.js';
import type { PaneId, Ui } from './state.js';
import type { World } from './world.js';

/** A pane: what its lines depend on, and how they come about. */
interface Pane {
  /** Answered within the frame of the key; others come behind it. */
  readonly quick: boolean;
  key(ui: Ui): string;
  lines(ui: Ui, world: World, size: { width: number; height: number }): Work<Line[]>;
}
const now = (lines: (ui: Ui, world: World, size: { width: number; height: number }) => Line[]): Pane['lines'] =>
  // biome-ignore lint/correctness/useYield: answers at once
  function* (ui, world, size) {
    return lines(ui, world, size);
  };
const place = (ui: Ui): string => `${ui.at.seq}.${ui.at.sub ?? ''}`;
const thing = (ui: Ui): string => JSON.stringify(ui.thing, (_, v) => (typeof v === 'bigint' ? v.toString() : v)) ?? '';

const PANES: Readonly<Record<PaneId, Pane>> = {
  timeline: {
    quick: true,
    key: ui => `${place(ui)} ${ui.window.from} ${ui.window.to} ${ui.mark}`,
    lines: now((ui, world, { width }) => timelineLines(ui, world, width)),
  },
  events: {
    quick: true,
    key: ui => `${place(ui)} ${ui.filter} ${ui.mark}`,
    lines: function* (ui, world, { height }) {
      return eventLines(ui, world, yield* eventsAround(ui, world, height));
    },
  },
  registers: {
    quick: true,
    key: ui => `${place(ui)} ${ui.focus === 'registers'} ${ui.scroll.registers.cursor}`,
    lines: now(registerLines),
  },
  space: { quick: false, key: ui => `${place(ui)} ${ui.mark}`, lines: spaceLines },
  detail: { quick: false, key: ui => `${place(ui)} ${ui.topic} ${thing(ui)}`, lines: detailLines },
};
const ORDER: readonly PaneId[] = ['timeline', 'events', 'registers', 'detail', 'space'];
/** A quick pane may take this long in one go (a rare filter takes longer); then it is finished behind the frame. */
const QUICK_STEPS = 64;

interface Shown {
  key: string;
  lines: readonly Line[];
}

export class Desk {
  ui: Ui;
  readonly world: World;
  private readonly shown = new Map<PaneId, Shown>();
  private readonly changed: () => void;
  private readonly queue: string[] = [];
  private working = false;
  private stop: AbortController | undefined;
  /** What runs now and how far it is, for the bottom line. */
  progress: { what: string; share: number } | undefined;

  /** @param changed called when there is something new to draw */
  constructor(ui: Ui, world: World, changed: () => void) {
    this.ui = ui;
    this.world = world;
    this.changed = changed;
    this.quick();
  }
  linesOf(pane: PaneId): readonly Line[] {
    return this.shown.get(pane)?.lines ?? [];
  }
  /** True when nothing is left to do: every pane shows the present. */
  get idle(): boolean {
    return !this.working && this.queue.length === 0;
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
    if ((key === 'escape' || key === 'C-c') && this.stop && this.progress) {
      this.stop.abort(new Error('stopped'));
      this.queue.length = 0;
      return;
    }
    this.queue.push(key);
    void this.work();
  }

  /** Works until nothing is left; one at a time. */
  async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    try {
      while (!this.ui.quit) {
        const key = this.queue.shift();
        if (key !== undefined) await this.act(key);
        else if (!(await this.slow())) break;
      }
    } finally {
      this.working = false;
      this.changed();
    }
  }
  private async act(key: string): Promise<void> {
    const { ui, world } = this;
    const binding = ui.prompt ? undefined : bindingOf(key, ui.focus);
    const action: Action | undefined = ui.prompt ? (u, w) => typed(u, w, key) : binding?.action;
    if (!action) return;
    const before = ui.message;
    const after = await this.run(binding?.does ?? 'searching', action(ui, world));
    if (!after) return;
    const message = after.message === before ? undefined : after.message;
    this.ui = { ...after, message, shell: equivalent(after, world, ui) };
    this.quick();
    this.changed();
  }
  /** Computes the first slow pane that is not up to date, unless a key comes in between. False when all are. */
  private async slow(): Promise<boolean> {
    const { ui, world } = this;
    const pane = ORDER.find(id => this.sizeOf(id).height > 0 && this.shown.get(id)?.key !== this.keyOf(id));
    if (!pane) return false;
    const key = this.keyOf(pane);
    const lines = await this.run(pane, PANES[pane].lines(ui, world, this.sizeOf(pane)), true);
    this.put(pane, key, lines ?? [line(span('stopped', 'dim'))]);
    this.changed();
    return true;
  }
  private async run<T>(what: string, work: Work<T>, yielding = false): Promise<T | undefined> {
    const stop = new AbortController();
    this.stop = stop;
    const began = performance.now();
    try {
      return await drive(work, {
        signal: stop.signal,
        onProgress: ({ done, total }: Progress) => {
          if (yielding && this.queue.length > 0) stop.abort(new Error('something newer is asked'));
          if (performance.now() - began < 300) return;
          this.progress = { what, share: total > 0 ? done / total : 0 };
          this.changed();
        },
      });
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      return undefined;
    } finally {
      this.progress = undefined;
      this.stop = undefined;
    }
  }
  /** The panes that are answered at once. */
  private quick(): void {
    for (const id of ORDER) {
      const pane = PANES[id];
      const size = this.sizeOf(id);
      if (!pane.quick || size.height === 0 || this.shown.get(id)?.key === this.keyOf(id)) continue;
      const work = pane.lines(this.ui, this.world, size);
      for (let n = 0; n < QUICK_STEPS; n++) {
        const step = work.next();
        if (!step.done) continue;
        this.put(id, this.keyOf(id), step.value);
        break;
      }
    }
  }
  private put(pane: PaneId, key: string, lines: readonly Line[]): void {
    this.shown.set(pane, { key, lines });
    this.world.shown.set(pane, lines);
  }
  private keyOf(id: PaneId): string {
    const { width, height } = this.sizeOf(id);
    return `${width}x${height} ${PANES[id].key(this.ui)}`;
  }
  private sizeOf(id: PaneId): { width: number; height: number } {
    return layoutOf(this.ui).find(b => b.pane === id) ?? { width: 0, height: 0 };
  }
}
/** Runs an action without a pause: for tests. */
export const actNow = (ui: Ui, world: World, action: Action): Ui => finish(action(ui, world));
