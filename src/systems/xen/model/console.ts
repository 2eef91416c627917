/** The guest's console: what it writes with console_io, gathered into lines, since a line is what people read. */

const LINE_MAX = 1024;

export class Console {
  /** What of the line was written so far. */
  line = '';

  /** Takes bytes; returns the lines to be told, their ends included. */
  write(bytes: Uint8Array): string[] {
    const lines: string[] = [];
    for (const byte of bytes) {
      this.line += String.fromCharCode(byte);
      if (byte === 10 || this.line.length >= LINE_MAX) lines.push(this.take()!);
    }
    return lines;
  }
  /** The unfinished line, if there is one. */
  take(): string | undefined {
    const { line } = this;
    this.line = '';
    return line === '' ? undefined : line;
  }
}
