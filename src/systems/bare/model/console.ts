/** The guest's console: bytes to a port, gathered into lines, since a line is what people read. */

const LINE_MAX = 1024;

export class Console {
  /** What of the line was written so far. */
  line = '';

  /** Takes a byte; returns a line to be told, its end included, when there is one. */
  write(byte: number): string | undefined {
    this.line += String.fromCharCode(byte & 0xff);
    return byte === 10 || this.line.length >= LINE_MAX ? this.take() : undefined;
  }
  /** The unfinished line, if there is one. */
  take(): string | undefined {
    const { line } = this;
    this.line = '';
    return line === '' ? undefined : line;
  }
}
