/**
 * What the replay half sees of a recording. state/ and views/ are written against this, never against files: a test
 * folds a recording in memory, the terminal one that still grows.
 */
import type { Frame, Paddr, Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Block } from '../events/block.js';
import type { FrameKind, Space } from '../events/kinds.js';
import type { Lexicon } from '../events/lexicon.js';

/** What makes a run repeatable; in the file's first 4 KiB. Nothing in it may depend on time, host or luck. */
export interface Header {
  /** Format version. */
  readonly version: number;
  /** The system that ran: xen, lguest, uml, arm, bare; and its guest. */
  readonly system: string;
  readonly guest: string;
  /** Name of the processor, as in isa/. */
  readonly isa: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly detail: 'mmu' | 'full';
  /** Machine and system settings that change what happens, as text. */
  readonly config: Readonly<Record<string, string>>;
  /** sha-256 of each image the run was made of. */
  readonly images: readonly { readonly name: string; readonly sha256: string }[];
}

export interface ChunkInfo {
  readonly first: number;
  readonly count: number;
  readonly firstTicks: number;
  readonly lastTicks: number;
  /** sha-256 (hex) of the uncompressed canonical body, chained over all chunks so far. */
  readonly chain: string;
  /** Registers that any regs event of the chunk sets, as a mask. */
  readonly regsMask: bigint;
  /** How many events of each kind, by kind number. */
  readonly counts: Readonly<Uint32Array>;
}

export interface Symbol {
  readonly at: Vaddr;
  readonly bytes: number;
  readonly name: string;
}

/** A moment at which memory and the machine can be restored. */
export interface CheckpointInfo {
  /** Events before it. */
  readonly seq: number;
  readonly ticks: number;
}

/**
 * A sparse keyframe: what changed in a span of events (`from` .. `seq`), with the values at its end. State at `seq` is all
 * keyframes up to it laid over each other; see docs/recording-format.md.
 */
export interface KeyframeInfo {
  readonly from: number;
  readonly seq: number;
}
/** Entries of page tables: columns of equal length, in order of space, frame and offset. */
export interface Slots extends FrameSlots {
  readonly count: number;
  readonly space: Uint8Array;
  readonly frame: Uint32Array;
  /** Those of one frame (undefined for none), without decoding the others. They hold until the next call, of any keyframe. */
  inFrame(space: number, frame: number): FrameSlots | undefined;
}
export interface FrameSlots {
  readonly offset: Uint16Array | Uint32Array;
  readonly lo: Uint32Array;
  readonly hi: Uint32Array;
}
export interface Keyframe extends KeyframeInfo {
  readonly ticks: number;
  /** Slots whose value at `seq` differs from the one at `from` or was written in between. */
  readonly slots: Slots;
  /** Frame numbers that changed: kind is an index into FRAME_KINDS. */
  readonly frames: { readonly kind: Uint8Array; readonly frame: Uint32Array; readonly value: Uint32Array };
  /**
   * Everything else of the state is small: copies of the events that set it, in order (the last for each thing: table, root,
   * descriptor, msr, port, task, guest or machine frame; all of map, unmap, protect). Adopt and release come without their
   * entries, which are in `slots`. Folding these forwards on top gives the rest of the state; `seqs` says which events they are.
   */
  readonly others: { readonly block: Block; readonly seqs: Float64Array };
  /** Register values at `seq`, per vcpu, by register number. */
  readonly registers: readonly BigUint64Array[];
}

/** A write found by the index. -1 where there is none. */
export interface Index {
  /** The last event before `before` that wrote the entry at physical byte `at`: a pte, or an adopt or release that covers it. */
  lastSlotWrite(space: Space, at: Paddr, before: number): number;
  /** All events before `before` that wrote the entry, newest first. */
  slotWrites(space: Space, at: Paddr, before: number): Work<Float64Array>;
  /** Events that wrote any entry of the tables in `table` (pte, adopt, release) before `before`, newest first, at most `limit`. */
  tableWrites(space: Space, table: Frame, before: number, limit: number): Float64Array;
  /** Entries that pointed to `frame` (as table or memory) at `before`: where they are, and the event that made each do so. */
  mappers(space: Space, frame: Frame, before: number): Work<Mappings>;
  /** Every event before `before` that made or ended a mapping of `frame`, oldest first. */
  mappingHistory(space: Space, frame: Frame, before: number): Work<Float64Array>;
  /** Events before `before` that changed a number of `frame` (FRAME_KINDS), oldest first. */
  frameChanges(frame: Frame, before: number): Work<Float64Array>;
  /** The last event before `before` of this kind for this frame. */
  lastFrameChange(kind: FrameKind, frame: Frame, before: number): number;
}
/** Entries in columns, ascending by address: a frame may have tens of thousands, of which objects would take longer than the question. */
export interface Mappings {
  /** Byte address (Paddr) of each. */
  readonly at: Float64Array;
  /** The event that wrote the entry as it is. */
  readonly since: Float64Array;
  readonly levels: Uint8Array;
}

export interface Source {
  /** The file's path, for messages. */
  readonly name: string;
  readonly header: Header;
  readonly lexicon: Lexicon;
  readonly chunks: readonly ChunkInfo[];
  /** Events in all whole chunks (and the provisional tail, when there is one). */
  readonly count: number;
  /** Ticks of the last event, 0 for none. */
  readonly endTicks: number;
  /** True when the writer closed the file; false for a killed or a living writer. */
  readonly closed: boolean;
  /** What was wrong with the end of the file, if anything: place and reason. */
  readonly damage: { readonly offset: number; readonly reason: string } | undefined;
  /** Index of the chunk that holds event seq. */
  chunkOf(seq: number): number;
  /**
   * The decoded chunk; cached (least recently used first out). Nobody writes to it.
   * @param like a chunk of another recording: what is stored alike is shared with it instead of decoded again
   */
  chunk(n: number, like?: Block): Block;
  /** The same for who goes over many and looks at each once: it is not kept, and holds until the next is asked for. */
  glance(n: number): Block;
  readonly index: Index;
  readonly keyframes: readonly KeyframeInfo[];
  keyframe(n: number): Keyframe;
  readonly checkpoints: readonly CheckpointInfo[];
  /**
   * The machine's own state as bytes; every page changed since the previous checkpoint; and, each once, every page that
   * was not zero then, whose bytes are not to be changed.
   */
  checkpoint(n: number): {
    readonly state: Uint8Array;
    readonly pages: Iterable<readonly [frame: number, bytes: Uint8Array]>;
    readonly memory: Iterable<readonly [frame: number, bytes: Uint8Array]>;
  };
  /** sha-256 (hex) of page `frame` at checkpoint n, undefined if it was never written. */
  pageHash(n: number, frame: number): string | undefined;
  readonly symbols: readonly Symbol[];
  /** Return addresses, innermost first; empty for 0. */
  stack(id: number): readonly Vaddr[];
  /** Detail entries that follow events from..to-1, as blocks (empty where the recording has none). */
  details(from: number, to: number): Iterable<Block>;
  /** Looks whether the file has grown; true if there are new events. */
  refresh(): boolean;
  close(): void;
}
