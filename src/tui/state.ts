/**
 * Everything the debugger's screen depends on, in one immutable value. Every action is a function from one to the next
 * (actions/), every pane a function from it to lines (panes/), so a session can be tested, undone and repeated without a
 * terminal.
 */
import type { Frame, Paddr, Vaddr } from '../base/brand.js';
import type { Space } from '../events/kinds.js';
import type { Position } from '../state/position.js';

export const PANES = ['timeline', 'events', 'registers', 'space', 'detail'] as const;
export type PaneId = (typeof PANES)[number];
/** What the last pane shows of the selected thing or the moment. */
export const TOPICS = ['event', 'walk', 'frame', 'mappers', 'batch', 'code', 'stack', 'console'] as const;
export type Topic = (typeof TOPICS)[number];

/** Something to ask about: what blame, the ledger and "next write" are about. */
export type Thing =
  | { readonly kind: 'slot'; readonly space: Space; readonly at: Paddr; readonly level: number }
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'register'; readonly number: number }
  | { readonly kind: 'address'; readonly at: Vaddr };

export interface Prompt {
  /** What is typed: a command, a search, a position, a filter, the text of a bookmark. */
  readonly kind: 'command' | 'search' | 'goto' | 'filter' | 'bookmark';
  readonly text: string;
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
  readonly size: { readonly columns: number; readonly rows: number };
  readonly quit: boolean;
}

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
    past: [],
    future: [],
    filter: '',
    search: '',
    window: { from: 0, to: Math.max(1, events) },
    prompt: undefined,
    message: undefined,
    shell: '',
    help: false,
    size,
    quit: false,
  };
}
