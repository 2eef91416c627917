/**
 * Everything the debugger's screen depends on, in one immutable value. Every action is a function from one to the next
 * (actions/), every pane a function from it to lines (panes/), so a session can be tested, undone and repeated without a
 * terminal.
 */
import type { Frame, Paddr, Vaddr } from '../base/brand.js';
import { hex } from '../base/u64.js';
import type { Space } from '../events/kinds.js';
import type { Position } from '../state/position.js';

export const PANES = ['timeline', 'events', 'registers', 'space', 'detail'] as const;
export type PaneId = (typeof PANES)[number];
/** What the last pane shows of the selected thing or the moment. */
export const TOPICS = [
  'event',
  'walk',
  'frame',
  'mappers',
  'batch',
  'code',
  'stack',
  'console',
  'answer',
  'breaks',
] as const;
export type Topic = (typeof TOPICS)[number];

/** Something to ask about: what blame, the ledger and "next write" are about. */
export type Thing =
  | { readonly kind: 'slot'; readonly space: Space; readonly at: Paddr; readonly level: number }
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'register'; readonly number: number }
  | { readonly kind: 'address'; readonly at: Vaddr };

export interface Prompt {
  /** What is typed: a command, a search, a position, a filter, the text of a bookmark. */
  readonly kind: 'command' | 'search' | 'goto' | 'filter' | 'bookmark' | 'break';
  readonly text: string;
  /** How far back in what was typed before; 0 for what is typed now. */
  readonly back: number;
}
/** Which tables the space pane shows: those of a loaded root, or under a root by its frame. */
export interface SpaceView {
  readonly space: Space;
  readonly role: 'kernel' | 'user';
  readonly root: Frame | undefined;
}
/** What a verb of the command line said. */
export interface Answered {
  readonly command: readonly string[];
  readonly lines: readonly string[];
}
export interface Message {
  readonly text: string;
  readonly tone: 'note' | 'warning';
}
/** Where a list stands: the line under the cursor, and the first one shown. */
export interface Scroll {
  readonly cursor: number;
  readonly top: number;
}

export interface Ui {
  readonly at: Position;
  /** The thing that questions are about; nothing chosen: what the event at the position is about. */
  readonly thing: Thing | undefined;
  readonly focus: PaneId;
  readonly zoomed: boolean;
  readonly topic: Topic;
  readonly scroll: Readonly<Record<PaneId, Scroll>>;
  /** The moment that `d` compares with. */
  readonly mark: number | undefined;
  /** The tables that were shown when it was set. */
  readonly markView: SpaceView;
  readonly view: SpaceView;
  /** The range whose pages are shown one by one, by its first address. */
  readonly expanded: Vaddr | undefined;
  /** Whether events hide what happened inside them, and which do the opposite. */
  readonly folded: boolean;
  readonly unlike: readonly number[];
  /** Where to stop, as typed; breaks.ts says what can be. */
  readonly breaks: readonly string[];
  readonly answer: Answered | undefined;
  /** What was typed at prompts, newest last. */
  readonly typed: readonly Pick<Prompt, 'kind' | 'text'>[];
  readonly past: readonly Position[];
  readonly future: readonly Position[];
  /** Words that shown events contain; empty for all. */
  readonly filter: string;
  readonly search: string;
  /** The part of the recording the strip shows. */
  readonly window: { readonly from: number; readonly to: number };
  readonly prompt: Prompt | undefined;
  readonly message: Message | undefined;
  /** The shell command that shows what was last done. */
  readonly shell: string;
  readonly help: boolean;
  /** Keys go to the guest: live.ts. */
  readonly typing: boolean;
  readonly size: { readonly columns: number; readonly rows: number };
  readonly quit: boolean;
}

export const KERNEL: SpaceView = { space: 'guest', role: 'kernel', root: undefined };
export const sameView = (a: SpaceView, b: SpaceView): boolean =>
  a.space === b.space && a.role === b.role && a.root === b.root;
export const viewText = ({ space, role, root }: SpaceView): string =>
  `${space === 'guest' ? `${role} tables` : `${space} tables`}${root === undefined ? '' : ` under ${hex(root)}`}`;
const TOP: Scroll = { cursor: 0, top: 0 };
export function initial(at: Position, events: number, size: Ui['size']): Ui {
  return {
    at,
    thing: undefined,
    focus: 'events',
    zoomed: false,
    topic: 'event',
    scroll: { timeline: TOP, events: TOP, registers: TOP, space: TOP, detail: TOP },
    mark: undefined,
    markView: KERNEL,
    view: KERNEL,
    expanded: undefined,
    folded: false,
    unlike: [],
    breaks: [],
    answer: undefined,
    typed: [],
    past: [],
    future: [],
    filter: '',
    search: '',
    window: { from: 0, to: Math.max(1, events) },
    prompt: undefined,
    message: undefined,
    shell: '',
    help: false,
    typing: false,
    size,
    quit: false,
  };
}
