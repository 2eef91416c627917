/**
 * Ranges of an address space as lines, as Linux's ptdump prints them. `map` prints ten thousand and more, in a process that
 * has compiled nothing yet: so a line is bytes, digit by digit, and what most lines have in common is made once.
 *
 *   ffff888000000000-ffff888000001000     4K RW USER NX     L1 3a7f
 *   |                |                |                      |
 *   0                17               33 size, permissions, level; frame if asked for
 */
import { hex } from '../base/u64.js';
import type { Level, PagingFormat } from '../isa/isa.js';
import { addressNumberOf, type SpaceRun } from '../views/spaces.js';
import { unpackPermissions } from '../views/tables.js';
import { permissionText, sizeText } from './ask.js';

const TO = 17;
const REST = 33;
const LINE_BYTES = 128;
const DIGITS = Buffer.from('0123456789abcdef');

export const pagesText = (pages: number): string => sizeText(BigInt(pages) << 12n);

export class RangeLines {
  /** The line written last, in ASCII. */
  readonly bytes = Buffer.alloc(LINE_BYTES, '-');
  private readonly format: PagingFormat;
  private readonly frames: boolean;
  private readonly rests = new Map<Level, Map<number, Uint8Array>>();

  /** @param frames with the frame that the range begins at */
  constructor(format: PagingFormat, frames = false) {
    this.format = format;
    this.frames = frames;
  }

  /** Writes the line of a range. Returns its length. */
  write(run: SpaceRun): number {
    const { bytes } = this;
    const from = addressNumberOf(this.format, run.page);
    writeAddress(bytes, 0, from);
    writeAddress(bytes, TO, from + run.pages * 4096);
    const rest = this.restOf(run);
    bytes.set(rest, REST);
    const end = REST + rest.length;
    return this.frames ? end + bytes.write(` ${hex(Math.floor(run.target / 4096))}`, end) : end;
  }
  text(run: SpaceRun): string {
    return this.bytes.toString('latin1', 0, this.write(run));
  }

  /** What follows the addresses, from a space on. */
  private restOf({ pages, level, permissions }: SpaceRun): Uint8Array {
    let ofLevel = this.rests.get(level);
    if (!ofLevel) this.rests.set(level, (ofLevel = new Map()));
    const key = pages * 16 + permissions;
    let rest = ofLevel.get(key);
    if (!rest) {
      const size = pagesText(pages).padStart(6);
      rest = Buffer.from(` ${size} ${permissionText(unpackPermissions(permissions))} ${level.name}`);
      ofLevel.set(key, rest);
    }
    return rest;
  }
}

/** Writes sixteen digits of a u64 that is a multiple of 4096, and so exact as a number; 2^64 is 0 again. */
function writeAddress(bytes: Uint8Array, at: number, address: number): void {
  writeWord(bytes, at, (address / 2 ** 32) | 0);
  writeWord(bytes, at + 8, address | 0);
}
function writeWord(bytes: Uint8Array, at: number, word: number): void {
  for (let i = at + 7, left = word; i >= at; i--, left >>>= 4) bytes[i] = DIGITS[left & 15]!;
}
