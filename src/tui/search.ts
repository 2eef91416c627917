/**
 * What `/` looks for: a text in an event as its line shows it, in the name of a function that an event came from, or in what
 * was printed, which may come in pieces, an event each.
 */
import { asVaddr } from '../base/brand.js';
import { finish } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import type { Event } from '../events/kinds.js';
import { eventText } from '../events/text.js';
import { findEvent, type Match } from '../state/find.js';
import { isaOfSource } from '../state/formats.js';
import { symbolAt } from '../views/symbols.js';
import type { World } from './world.js';

/** A line of the console is taken together from so many events at most. */
const PIECES_MAX = 500;

/** Searches for one text, upper or lower case. */
export class Search {
  private readonly world: World;
  private readonly wanted: string;
  private readonly pc: number;
  /** Whether any function has a name like that; by the number of a stack, the name in it that has it. */
  private readonly named: boolean;
  private readonly stacks = new Map<number, string | undefined>();

  constructor(world: World, text: string) {
    this.world = world;
    this.wanted = text.toLowerCase();
    this.pc = isaOfSource(world.source)?.roles.pc ?? -1;
    this.named = world.source.symbols.some(s => this.has(s.name));
  }
  readonly match: Match = { where: (block: Block, i: number) => this.found(eventAt(block, i)) !== undefined };

  /** Where the event has the text, for people; empty where its line shows it, undefined if it has not. */
  found(e: Event): string | undefined {
    if (e.kind === 'console' && (this.has(e.text) || this.has(this.lineUpTo(e)))) return 'printed here';
    if (this.has(eventText(e, this.world.source.lexicon))) return '';
    const name = this.named ? this.functionOf(e) : undefined;
    return name && `in ${name}`;
  }
  private has(text: string): boolean {
    return text.toLowerCase().includes(this.wanted);
  }
  /** The function with such a name that the event happened in, or was called from. */
  private functionOf(e: Event): string | undefined {
    if ('stack' in e && e.stack !== 0) {
      if (!this.stacks.has(e.stack)) this.stacks.set(e.stack, this.nameIn(this.world.source.stack(e.stack)));
      return this.stacks.get(e.stack);
    }
    if (e.kind !== 'regs' || this.pc < 0 || !((e.mask >> BigInt(this.pc)) & 1n)) return undefined;
    let item = 0;
    for (let r = 0; r < this.pc; r++) if ((e.mask >> BigInt(r)) & 1n) item++;
    return this.nameIn([e.values[item]!]);
  }
  private nameIn(addresses: readonly bigint[]): string | undefined {
    for (const at of addresses) {
      const name = symbolAt(this.world.source.symbols, asVaddr(at))?.name;
      if (name && this.has(name)) return name;
    }
    return undefined;
  }
  /** The end of the line before a piece, as far as the text may reach into it, and the piece. */
  private lineUpTo(piece: Extract<Event, { kind: 'console' }>): string {
    const needed = this.wanted.length - 1;
    let before = '';
    for (let n = 0, at = piece.seq; n < PIECES_MAX && before.length < needed; n++) {
      at = this.pieceBefore(at);
      const e = at < 0 ? undefined : this.world.event(at);
      if (e?.kind !== 'console') break;
      if (e.from === piece.from) {
        before = e.text.slice(e.text.lastIndexOf('\n') + 1) + before;
        if (e.text.includes('\n')) break;
      }
    }
    return before.slice(-needed || before.length) + piece.text;
  }
  private pieceBefore(seq: number): number {
    return finish(findEvent(this.world.source, seq - 1, -1, { kinds: ['console'] }));
  }
}
