/**
 * Which place a leaf has: a hash table from (section, leaf id) to a number, given out in order and never taken back.
 *
 *   keys    by place: section * IDS + leaf id
 *   cells   by hash of the key: place + 1, 0 for none; open addressing, at most a quarter full
 *
 * Leaf ids come from recordings, and who knows the hash function can choose ids that collide. So steps are counted: where a
 * key would lie too far from its cell, all are hashed anew with another seed, and a few times over, in a larger table. That
 * is enough for any ids that were not chosen to hurt, and who chose them so gets Trouble, not a hang.
 */
import { Trouble } from '../base/trouble.js';

/** Leaves, over all sections; a recording that needs more is hostile or not for this machine (256 MB). */
const PLACES_MAX = 2 ** 20;
/** Leaf ids are below it in every section: tables have 2^14 offsets of 2^32 frames, 64 a leaf. */
const IDS = 2 ** 41;
const PROBES_MAX = 128;
const NEAR = 3;
/** How often to hash anew. A table that is a quarter full and spread well never needs to. */
const RESEEDS_MAX = 24;

export class Places {
  count = 0;
  private keys = new Float64Array(256);
  private cells = new Int32Array(1024);
  private seeds = 0;
  private seed = 0;

  sectionOf(place: number): number {
    return Math.floor(this.keys[place]! / IDS);
  }
  idOf(place: number): number {
    return this.keys[place]! % IDS;
  }

  /**
   * The place of a leaf, -1 if it has none.
   * @param near where to look first: leaves that follow each other often got their places one after the other
   */
  find(section: number, id: number, near = 0): number {
    const { cells, keys } = this;
    const key = section * IDS + id;
    for (let place = near; place < near + NEAR; place++) if (keys[place] === key && place < this.count) return place;
    const mask = cells.length - 1;
    for (let cell = this.hash(key) & mask; ; cell = (cell + 1) & mask) {
      const place = cells[cell]! - 1;
      if (place < 0 || keys[place] === key) return place;
    }
  }

  /** Taken cells in a row, at most: what a search may have to go over. For tests. */
  get longestRun(): number {
    let longest = 0;
    for (let cell = 0, run = 0; cell < this.cells.length; cell++)
      longest = Math.max(longest, (run = this.cells[cell] === 0 ? 0 : run + 1));
    return longest;
  }

  /** Gives a leaf that has none the next place. @throws Trouble where there are too many, or their ids do harm */
  add(section: number, id: number): number {
    const place = this.count;
    if (place >= PLACES_MAX) throw tooMuch();
    if (place === this.keys.length) this.grow();
    this.count++;
    this.keys[place] = section * IDS + id;
    if (4 * this.count > this.cells.length) this.rehash(2 * this.cells.length);
    else if (!this.enter(place)) this.reseed();
    return place;
  }

  private grow(): void {
    const keys = new Float64Array(2 * this.keys.length);
    keys.set(this.keys);
    this.keys = keys;
  }

  private hash(key: number): number {
    let h = Math.imul((key | 0) ^ this.seed, 0x85eb_ca6b);
    h = Math.imul(h ^ (h >>> 15) ^ (key / 2 ** 32), 0x9e37_79b1) ^ this.seed;
    h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
    return h ^ (h >>> 16);
  }
  /** Enters a place among the cells; false where that takes too many steps. */
  private enter(place: number): boolean {
    const { cells } = this;
    const mask = cells.length - 1;
    let cell = this.hash(this.keys[place]!) & mask;
    for (let n = 0; n < PROBES_MAX; n++, cell = (cell + 1) & mask)
      if (cells[cell] === 0) {
        cells[cell] = place + 1;
        return true;
      }
    return false;
  }
  private rehash(length: number): void {
    this.cells = new Int32Array(length);
    for (let place = 0; place < this.count; place++)
      if (!this.enter(place)) {
        this.reseed();
        return;
      }
  }
  private reseed(): void {
    if (++this.seeds > RESEEDS_MAX) throw tooMuch();
    this.seed = Math.imul(this.seeds, 0x9e37_79b1);
    this.rehash(this.cells.length * (this.seeds % 8 === 0 ? 2 : 1));
  }
}

const tooMuch = (): Trouble => new Trouble('the state touches more places than this program can hold');
