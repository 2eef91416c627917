/**
 * A file that is there when it is whole, and not before: written under a name that begins with a dot (which readers of folders
 * pass over), and given its own name at the end. What is interrupted leaves nothing.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { reasonOf, Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';

export class WholeFile {
  readonly path: string;
  bytes = 0;
  private readonly part: string;
  private fd: number;
  /** The outermost folder that was made for it. */
  private made: string | undefined;

  /** Makes the folder, too. @throws Trouble that names the file */
  constructor(path: string) {
    this.path = path;
    this.part = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
    this.fd = this.trying(() => {
      this.made = mkdirSync(dirname(path), { recursive: true });
      return openSync(this.part, 'w');
    });
  }
  write(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.trying(() => {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at);
    });
  }
  /** No more is written; it still has its other name, so that several files can come to be together. */
  close(): void {
    if (this.fd < 0) return;
    const { fd } = this;
    this.fd = -1;
    this.trying(() => closeSync(fd));
  }
  /** Gives the file its name, in place of one that may be there. */
  keep(): void {
    this.close();
    this.trying(() => renameSync(this.part, this.path));
  }
  /** Removes what was written, and folders made for it that hold nothing else; nothing if it was kept. */
  drop(): void {
    if (this.fd >= 0) closeSync(this.fd);
    this.fd = -1;
    rmSync(this.part, { force: true });
    try {
      for (let dir = dirname(this.path); this.made && dir.length >= this.made.length; dir = dirname(dir))
        rmdirSync(dir);
    } catch {
      // A folder with something in it stays.
    }
  }

  private trying<T>(what: () => T): T {
    try {
      return what();
    } catch (error) {
      throw new Trouble(`${this.path}: cannot be written: ${reasonOf(error)}`);
    }
  }
}

const BUFFER_CHARS = 1 << 20;
/** Lines to a file that is there when it is whole. @returns what `make` does, and the bytes written */
export function* writeLines(
  path: string,
  make: (put: (line: string) => void) => Work<number>,
): Work<{ readonly count: number; readonly bytes: number }> {
  const file = new WholeFile(path);
  let waiting: string[] = [];
  let chars = 0;
  const flush = (): void => {
    file.write(Buffer.from(waiting.join('')));
    waiting = [];
    chars = 0;
  };
  try {
    const count = yield* make(line => {
      waiting.push(line, '\n');
      chars += line.length + 1;
      if (chars >= BUFFER_CHARS) flush();
    });
    flush();
    file.keep();
    return { count, bytes: file.bytes };
  } finally {
    file.drop();
  }
}
