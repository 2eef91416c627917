/**
 * Bookmarks and remarks, kept beside the recording in FILE.notes.json:
 *
 *   { "v": 1, "notes": [ { "seq": 48211, "name": "crash", "text": "here it ends" } ] }
 *
 * A name makes it a bookmark ('crash is a position); a text is what the tour shows there. Written to a new file that takes
 * the old one's place, so a crash leaves one or the other. The file is untrusted.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Trouble } from '../base/trouble.js';
import type { Bookmarks, Position } from '../state/position.js';

export interface Note {
  /** The event it is about. */
  readonly seq: number;
  readonly name: string;
  readonly text: string;
}
const VERSION = 1;
const NOTES_MAX = 10_000;
const TEXT_MAX = 10_000;

export class Notes {
  private readonly path: string;
  private list: readonly Note[];
  /** True once something was written to the file. */
  written = false;

  private constructor(path: string, list: readonly Note[]) {
    this.path = path;
    this.list = list;
  }
  /** The notes of a recording with `count` events. Throws Trouble when there is a file and it is none of notes. */
  static of(recording: string, count: number): Notes {
    const path = `${recording}.notes.json`;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Notes(path, []);
      throw new Trouble(`${path}: cannot be read: ${(error as Error).message}`);
    }
    return new Notes(path, parse(text, path, count));
  }
  /** All, by event. */
  get all(): readonly Note[] {
    return this.list;
  }
  get file(): string {
    return this.path;
  }
  readonly bookmarks: Bookmarks = (name): Position | undefined => {
    const found = this.list.find(n => n.name === name);
    return found && { seq: found.seq };
  };
  /** The note at an event, or undefined. */
  at(seq: number): Note | undefined {
    return this.list.find(n => n.seq === seq);
  }
  /** The next (1) or previous (-1) note from event `seq` on, without it. */
  next(seq: number, direction: 1 | -1): Note | undefined {
    return direction === 1 ? this.list.find(n => n.seq > seq) : this.list.findLast(n => n.seq < seq);
  }
  /** Adds a note or replaces the one with the same event or name, and writes the file. */
  put(note: Note): void {
    const others = this.list.filter(n => n.seq !== note.seq && (note.name === '' || n.name !== note.name));
    this.list = [...others, note].sort((a, b) => a.seq - b.seq);
    this.save();
  }
  private save(): void {
    const fresh = `${this.path}.new`;
    writeFileSync(fresh, `${JSON.stringify({ v: VERSION, notes: this.list }, undefined, 2)}\n`);
    renameSync(fresh, this.path);
    this.written = true;
  }
}

function parse(text: string, path: string, count: number): readonly Note[] {
  const bad = (why: string): never => {
    throw new Trouble(`${path}: ${why}; mend it or move it away`);
  };
  let data: { v?: unknown; notes?: unknown };
  try {
    data = JSON.parse(text);
  } catch (error) {
    return bad(`no JSON: ${(error as Error).message}`);
  }
  if (data?.v !== VERSION) bad(`notes of version ${String(data?.v)}, this reads version ${VERSION}`);
  const notes = data.notes;
  if (!Array.isArray(notes) || notes.length > NOTES_MAX) return bad(`not a list of at most ${NOTES_MAX} notes`);
  const list = notes.map((n: Partial<Note> | null, index): Note => {
    const whole =
      typeof n?.seq === 'number' &&
      Number.isInteger(n.seq) &&
      n.seq >= 0 &&
      [n.name, n.text].every(t => typeof t === 'string' && t.length <= TEXT_MAX);
    if (!whole) return bad(`note ${index} lacks a seq, a name or a text`);
    if (n.seq! >= count) return bad(`note ${index} is about event #${n.seq}, the recording ends at #${count - 1}`);
    return { seq: n.seq!, name: n.name!, text: n.text! };
  });
  return list.sort((a, b) => a.seq - b.seq);
}
