/**
 * Reading frames from a file that may be damaged, cut off, still growing, or made to harm. Nothing is allocated before its
 * length was checked against the file and against what such a frame may have; nothing is unpacked before its checksum
 * was right. What was good before the first bad byte is the recording; the rest is said, not guessed at.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { reasonOf, Trouble } from '../base/trouble.js';
import { Directory, type Extra, type Place, placeOf, TRAILER_BYTES, TRAILER_MAGIC, unpackFooter } from './directory.js';
import { type ChunkEnvelope, unpackChunk, unpackMemory } from './envelopes.js';
import {
  type FileHeader,
  FRAME,
  FRAME_BYTES,
  FRAME_NAMES,
  type FrameHeader,
  parseFrame,
  parseHeader,
} from './frames.js';

export interface Damage {
  /** Byte of the file where the first thing is wrong. */
  readonly offset: number;
  readonly reason: string;
}

/** What a large frame is read into piece by piece: what the processor's cache holds. */
const piece = Buffer.alloc(1 << 17);

/** An open file. All reads are by position; a short read gives a short buffer. */
export class RecordingFile {
  readonly path: string;
  readonly head: FileHeader;
  private readonly fd: number;
  private open = true;

  /** Throws Trouble, with the path, if it is no recording that this program reads. */
  constructor(path: string) {
    this.path = path;
    try {
      this.fd = openSync(path, 'r');
    } catch (error) {
      throw new Trouble(`${path}: cannot be opened: ${reasonOf(error)}`);
    }
    try {
      if (!fstatSync(this.fd).isFile()) throw new Trouble('this is no file');
      this.head = parseHeader(bytes => this.read(0, bytes));
    } catch (error) {
      this.close();
      throw this.trouble(error);
    }
  }

  /** The same error, naming the file; one of the system becomes Trouble. */
  trouble(error: unknown): unknown {
    if (error instanceof Trouble)
      return error.message.startsWith(this.path) ? error : new Trouble(`${this.path}: ${error.message}`);
    return error instanceof Error && 'code' in error ? new Trouble(`${this.path}: ${reasonOf(error)}`) : error;
  }

  size(): number {
    return fstatSync(this.fd).size;
  }

  read(offset: number, bytes: number, out: Buffer = Buffer.allocUnsafe(bytes)): Buffer {
    return out.subarray(0, this.readInto(out, offset, bytes));
  }
  /** Reads to the front of a buffer. Returns how many bytes there were. */
  private readInto(out: Buffer, offset: number, bytes: number): number {
    let done = 0;
    while (done < bytes) {
      const n = readSync(this.fd, out, done, bytes - done, offset + done);
      if (n === 0) break;
      done += n;
    }
    return done;
  }

  /**
   * The payload of a frame that is in the directory, with its checksum made sure of. Throws Trouble with the place.
   * @param into what to read it into: at least as many bytes
   */
  payload(place: Place, into?: Buffer): Buffer {
    const found = this.frame(place.offset, place.offset + FRAME_BYTES + place.bytes, into);
    if (typeof found === 'string') throw this.damaged(place, found);
    this.compare(place, found.header);
    return found.payload;
  }
  /** Makes sure of the checksum of a large frame that is in the directory, without having all of it in memory. */
  check(place: Place): void {
    const head = this.read(place.offset, FRAME_BYTES);
    if (head.length < FRAME_BYTES) throw this.damaged(place, 'the file ends within a frame header');
    const header = parseFrame(head, place.bytes);
    if (typeof header === 'string') throw this.damaged(place, header);
    this.compare(place, header);
    let crc = 0;
    for (let at = 0; at < place.bytes; ) {
      const n = this.readInto(piece, place.offset + FRAME_BYTES + at, Math.min(piece.length, place.bytes - at));
      if (n === 0) throw this.damaged(place, `the file ends within a ${FRAME_NAMES[place.type]} frame`);
      crc = crc32(piece.subarray(0, n), crc);
      at += n;
    }
    if (crc !== header.payloadCrc) throw this.damaged(place, `checksum of a ${FRAME_NAMES[place.type]} frame is wrong`);
  }
  private compare(place: Place, { type, bytes, count, first }: FrameHeader): void {
    if (type !== place.type || bytes !== place.bytes || count !== place.count || first !== place.first)
      throw this.damaged(place, 'the frame is not what the footer says');
  }
  private damaged(place: Place, reason: string): Trouble {
    return new Trouble(`${this.path}: damaged at byte ${place.offset}: ${reason}`);
  }

  /** The frame at `offset` of a file of `size` bytes, or what is wrong with it. */
  frame(offset: number, size: number, into?: Buffer): { header: FrameHeader; payload: Buffer } | string {
    if (size - offset < FRAME_BYTES) return `the file ends within a frame header`;
    const head = this.read(offset, FRAME_BYTES);
    if (head.length < FRAME_BYTES) return `the file ends within a frame header`;
    const header = parseFrame(head, size - offset - FRAME_BYTES);
    if (typeof header === 'string') return header;
    const payload = this.read(offset + FRAME_BYTES, header.bytes, into);
    if (payload.length < header.bytes) return `the file ends within a ${FRAME_NAMES[header.type]} frame`;
    if (crc32(payload) !== header.payloadCrc) return `checksum of a ${FRAME_NAMES[header.type]} frame is wrong`;
    return { header, payload };
  }

  close(): void {
    if (this.open) closeSync(this.fd);
    this.open = false;
  }
}

/** The directory in the footer of a closed file, undefined where there is none that holds. Reads nothing else. */
export function readFooter(file: RecordingFile): Directory | undefined {
  const size = file.size();
  const trailer = size < TRAILER_BYTES ? undefined : file.read(size - TRAILER_BYTES, TRAILER_BYTES);
  if (trailer?.length !== TRAILER_BYTES || !TRAILER_MAGIC.every((b, i) => trailer[8 + i] === b)) return undefined;
  const offset = trailer.readDoubleLE(0);
  if (!Number.isSafeInteger(offset) || offset < file.head.bytes || offset > size - FRAME_BYTES) return undefined;
  const found = file.frame(offset, size);
  if (typeof found === 'string' || found.header.type !== FRAME.footer) return undefined;
  if (offset + FRAME_BYTES + found.header.bytes !== size) return undefined;
  try {
    return unpackFooter(found.payload, file.head.layout.length, file.head.bytes, offset);
  } catch (error) {
    if (error instanceof Trouble) return undefined;
    throw error;
  }
}

/** The provisional end of a file that still grows, or that a killed writer left. */
export interface Tail {
  readonly offset: number;
  readonly envelope: ChunkEnvelope;
}

/** Walks over the frames of a file and fills a directory; goes on where it stopped when the file has grown. */
export class Scanner {
  readonly directory = new Directory();
  /** Where the next frame should begin. */
  at: number;
  /** True once a footer was met. */
  closed = false;
  damage: Damage | undefined;
  tail: Tail | undefined;
  private readonly file: RecordingFile;

  constructor(file: RecordingFile) {
    this.file = file;
    this.at = file.head.bytes;
  }

  /** Takes the next frame. Returns false where there is none: at the end, or at damage. */
  next(size: number): boolean {
    this.damage = undefined;
    if (this.closed || size === this.at) {
      if (size > this.at) this.damage = { offset: this.at, reason: 'bytes after the end of the recording' };
      return false;
    }
    const found = this.file.frame(this.at, size);
    if (typeof found === 'string') return this.stop(this.at, found);
    try {
      return this.take(found.header, found.payload, size);
    } catch (error) {
      if (error instanceof Trouble) return this.stop(this.at, error.message);
      throw error;
    }
  }

  private stop(offset: number, reason: string): boolean {
    this.damage = { offset, reason };
    return false;
  }

  private take(header: FrameHeader, payload: Buffer, size: number): boolean {
    const { type } = header;
    const end = this.at + FRAME_BYTES + header.bytes;
    if (type === FRAME.tail) {
      const envelope = unpackChunk(payload, this.file.head.layout.length);
      if (
        envelope.first !== this.directory.events ||
        envelope.first !== header.first ||
        envelope.count !== header.count
      )
        throw new Trouble('a tail that does not follow the last chunk');
      if (envelope.count > (this.tail?.envelope.count ?? 0)) this.tail = { offset: this.at, envelope };
      return end === size ? false : this.stop(end, 'bytes after a tail frame');
    }
    if (type === FRAME.footer) this.closed = true;
    else this.directory.add(placeOf(header, this.at), this.extra(header, payload));
    if (type === FRAME.chunk) this.tail = undefined;
    this.at = end;
    return true;
  }

  private extra({ type }: FrameHeader, payload: Buffer): Extra {
    if (type === FRAME.chunk || type === FRAME.detail) {
      const { packed: _, ...head } = unpackChunk(payload, this.file.head.layout.length);
      return head;
    }
    if (type !== FRAME.memory) return undefined;
    const { seq, ticks } = unpackMemory(payload);
    return { seq, ticks };
  }
}
