/**
 * State as views read it: one moment, whether it is a frozen tree or the pool that a timeline moves through time. Nothing
 * here changes anything.
 */
import { asFrame, type Frame, type Paddr, paddrOf } from '../base/brand.js';
import { u64 } from '../base/u64.js';
import { descriptor, end, FRAME_KINDS, type FrameKind, NO_FRAME, root, SPACES, type Space } from '../events/kinds.js';
import { codeOf } from '../events/schema.js';
import type { Range } from './ranges.js';
import { type Beside, EMPTY_TREE, leafOf, leavesOf, type Task, type Tree } from './tree.js';
import {
  descriptorWord,
  FRAME_FIELDS,
  LEAF_WORDS,
  type Leaf,
  msrWord,
  PORT_MASKED,
  PORT_PENDING,
  registerWord,
  rootWord,
  SECTION,
  type TableKind,
  tablePlace,
  tableWord,
  unpackTable,
} from './words.js';

/** What a state is made of; `applied` events came before it. */
export interface Words extends Beside {
  readonly applied: number;
  leaf(section: number, id: number): Leaf | undefined;
  /** All leaves of a section, in no order. */
  leaves(section: number): Iterable<readonly [id: number, leaf: Leaf]>;
}

/** A table that was adopted and not yet released. */
export interface Table extends TableKind {
  readonly space: Space;
  readonly at: Paddr;
}
/** All numbers of a frame. Before any event they are all zero. */
export type FrameNumbers = { readonly [K in FrameKind]: number };

export type Role = (typeof root.fields.role.names)[number];
export type DescriptorTable = (typeof descriptor.fields.table.names)[number];

/**
 * Entries outside adopted tables: a pte event may write memory that was never adopted. Such memory counts as zero before
 * its first pte event, is read and walked like any table, and is in no list of tables.
 */
export class State {
  readonly words: Words;

  constructor(words: Words) {
    this.words = words;
  }

  /** The event after which this is the state; -1 before the first. */
  get seq(): number {
    return this.words.applied - 1;
  }

  private word(section: number, index: number): number {
    const id = Math.floor(index / LEAF_WORDS);
    return this.words.leaf(section, id)?.[index - id * LEAF_WORDS] ?? 0;
  }
  private pair(section: number, index: number): bigint {
    return u64(this.word(section, index), this.word(section, index + 1));
  }

  /** The entry at byte `at` of a space's table memory; 0n where nothing was ever written. */
  entry(space: Space, at: Paddr, bytes: 4 | 8): bigint {
    const section = SECTION.memory + SPACES.indexOf(space);
    return bytes === 8 ? this.pair(section, Math.floor(at / 8) * 2) : BigInt(this.word(section, Math.floor(at / 4)));
  }
  /** The leaf of table memory that holds byte `at`: 256 bytes, undefined where all of it is zero. */
  memoryLeaf(space: Space, at: Paddr): Leaf | undefined {
    return this.words.leaf(SECTION.memory + SPACES.indexOf(space), Math.floor(at / (LEAF_WORDS * 4)));
  }

  /** The adopted table that begins at byte `at`. */
  table(space: Space, at: Paddr): Table | undefined {
    const word = this.word(SECTION.tables + SPACES.indexOf(space), tableWord(Math.floor(at / 4096), at % 4096));
    return word === 0 ? undefined : { space, at, ...unpackTable(word) };
  }
  /** All adopted tables of a space, by address. */
  tables(space: Space): Table[] {
    const out: Table[] = [];
    for (const [id, leaf] of this.words.leaves(SECTION.tables + SPACES.indexOf(space)))
      for (let i = 0; i < LEAF_WORDS; i++)
        if (leaf[i] !== 0) {
          const { frame, offset } = tablePlace(id * LEAF_WORDS + i);
          out.push({ space, at: paddrOf(asFrame(frame), offset), ...unpackTable(leaf[i]!) });
        }
    return out.sort((a, b) => a.at - b.at);
  }

  frameNumber(kind: FrameKind, frame: Frame): number {
    const { section, shift, mask } = FRAME_FIELDS[kind];
    return ((this.word(section, frame) >>> shift) & mask) >>> 0;
  }
  frame(frame: Frame): FrameNumbers {
    return Object.fromEntries(FRAME_KINDS.map(kind => [kind, this.frameNumber(kind, frame)])) as FrameNumbers;
  }

  /** Its last recorded value; views/registers.ts says when that was. */
  register(vcpu: number, register: number): bigint {
    return this.pair(SECTION.registers, registerWord(vcpu, register));
  }
  /** The frame of the root table; NO_FRAME if none was loaded. */
  root(space: Space, role: Role, vcpu: number): Frame {
    const word = rootWord(vcpu, SPACES.indexOf(space), codeOf(root.fields.role, role));
    return asFrame((this.word(SECTION.roots, word) ^ NO_FRAME) >>> 0);
  }
  descriptor(vcpu: number, table: DescriptorTable, index: number): bigint {
    return this.pair(SECTION.descriptors, descriptorWord(vcpu, codeOf(descriptor.fields.table, table), index));
  }
  msr(vcpu: number, register: number): bigint {
    return this.pair(SECTION.msrs, msrWord(vcpu, register));
  }
  /** The guest frame of a machine frame, NO_FRAME for none. */
  guestFrame(machine: Frame): Frame {
    return asFrame((this.word(SECTION.m2p, machine) ^ NO_FRAME) >>> 0);
  }
  /** The machine frame of a guest frame, NO_FRAME for none. */
  machineFrame(guest: Frame): Frame {
    return asFrame((this.word(SECTION.p2m, guest) ^ NO_FRAME) >>> 0);
  }
  port(port: number): { pending: boolean; masked: boolean } {
    const word = this.word(SECTION.ports, port);
    return { pending: (word & PORT_PENDING) !== 0, masked: (word & PORT_MASKED) !== 0 };
  }
  /** The ranges of a host address space, sorted and coalesced. */
  host(process: number): readonly Range[] {
    return this.words.hosts.get(process) ?? [];
  }
  /** The processes that have a host address space. */
  hosts(): number[] {
    return [...this.words.hosts].filter(([, ranges]) => ranges.length > 0).map(([pid]) => pid);
  }
  task(vcpu: number): Task {
    return this.words.tasks.get(vcpu) ?? { pid: 0, name: '' };
  }
  /** How the run ended, undefined while it goes on. */
  get ending(): { how: (typeof end.fields.how.names)[number]; reason: string } | undefined {
    const e = this.words.ending;
    return e && { how: end.fields.how.names[e.how] ?? 'stopped', reason: e.reason };
  }
}

/** A state that never changes: a tree and how many events came before it. */
export class Snapshot extends State {
  readonly tree: Tree;

  constructor(tree: Tree, applied: number) {
    super({
      ...tree,
      applied,
      leaf: (section, id) => leafOf(tree.sections[section]!, id),
      *leaves(section) {
        for (const [number, group] of tree.sections[section]!) yield* leavesOf(number, group);
      },
    });
    this.tree = tree;
  }
}
/** Before the first event. */
export const NOTHING_YET = new Snapshot(EMPTY_TREE, 0);
