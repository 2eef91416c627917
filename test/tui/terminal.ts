/** The debugger in a pseudo-terminal, as a person has it: keys in, the screen out. */
import { fileURLToPath } from 'node:url';
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const QUIET_MS = 150;
const WAIT_MS = 30_000;

export class Screen {
  readonly terminal: InstanceType<typeof xterm.Terminal>;
  private readonly process: pty.IPty;
  private heard = Date.now();
  /** Everything the program sent. */
  sent = '';
  exit: { exitCode: number; signal?: number | undefined } | undefined;

  constructor(
    args: readonly string[],
    columns: number,
    rows: number,
    env: Readonly<Record<string, string>> = {},
    program = MAIN,
    cwd = process.cwd(),
  ) {
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(NO_COLOR|FORCE_COLOR|COLORTERM|CI)$/.test(name)),
    ) as Record<string, string>;
    this.process = pty.spawn(process.execPath, [program, ...args], {
      cols: columns,
      rows,
      cwd,
      env: { ...inherited, CI: 'false', TERM: 'xterm-256color', ...env },
    });
    this.process.onData(data => {
      this.heard = Date.now();
      this.sent += data;
      this.terminal.write(data);
    });
    this.process.onExit(exit => {
      this.exit = exit;
    });
  }
  keys(text: string): void {
    this.heard = Date.now();
    this.process.write(text);
  }
  resize(columns: number, rows: number): void {
    this.heard = Date.now();
    this.terminal.resize(columns, rows);
    this.process.resize(columns, rows);
  }
  kill(signal: string): void {
    this.process.kill(signal);
  }
  /** Waits until the screen has `text` and has been quiet for a while. */
  async shows(text: string | RegExp): Promise<string[]> {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, 20));
      const lines = this.lines();
      const found = lines.some(l => (typeof text === 'string' ? l.includes(text) : text.test(l)));
      if (found && Date.now() - this.heard > QUIET_MS) return lines;
      if (Date.now() > end) throw new Error(`the screen never showed ${text}:\n${lines.join('\n')}`);
    }
  }
  /** Waits until the screen is as `holds` says. */
  async becomes(holds: (lines: readonly string[]) => boolean): Promise<string[]> {
    const end = Date.now() + WAIT_MS;
    while (!holds(this.lines())) {
      if (Date.now() > end) throw new Error(`the screen never became so:\n${this.lines().join('\n')}`);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    return this.lines();
  }
  /** Waits until the screen is as `holds` says and stays the same for a while. */
  async settles(holds: (lines: readonly string[]) => boolean): Promise<string[]> {
    for (let before = '', since = Date.now(); ; ) {
      const lines = await this.becomes(holds);
      const now = lines.join('\n');
      if (now !== before) [before, since] = [now, Date.now()];
      else if (Date.now() - since > QUIET_MS && Date.now() - this.heard > QUIET_MS) return lines;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }
  async ended(): Promise<number> {
    const end = Date.now() + WAIT_MS;
    while (!this.exit) {
      if (Date.now() > end) throw new Error(`it did not end:\n${this.lines().join('\n')}`);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    return this.exit.exitCode;
  }
  lines(): string[] {
    const { active } = this.terminal.buffer;
    return Array.from(
      { length: this.terminal.rows },
      (_, y) => active.getLine(y)?.translateToString(true, 0, this.terminal.cols) ?? '',
    );
  }
  /** True while the program has the alternate screen. */
  get alternate(): boolean {
    return this.terminal.buffer.active.type === 'alternate';
  }
}
