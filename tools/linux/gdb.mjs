// A client of the GDB remote protocol, as much as counting takes: packets "$data#checksum", each acknowledged by "+".
import { connect } from 'node:net';

export class Gdb {
  #socket;
  #text = '';
  #waiting = [];
  #packets = [];

  static async to(path, tries = 50) {
    for (;;) {
      try {
        const gdb = new Gdb();
        await new Promise((resolve, reject) => {
          gdb.#socket = connect(path, resolve).on('error', reject);
        });
        gdb.#socket.setNoDelay(true);
        gdb.#socket.on('data', data => gdb.#heard(data.toString('latin1')));
        gdb.#socket.on('close', () => gdb.#put(undefined));
        return gdb;
      } catch (error) {
        if (--tries === 0) throw error;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    }
  }
  #put(packet) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(packet);
    else this.#packets.push(packet);
  }
  #heard(text) {
    this.#text += text;
    for (let end = this.#text.indexOf('#'); end >= 0 && this.#text.length >= end + 3; end = this.#text.indexOf('#')) {
      this.#put(this.#text.slice(this.#text.indexOf('$') + 1, end));
      this.#text = this.#text.slice(end + 3);
      this.#socket.write('+');
    }
  }
  /** Sends a packet and waits for the next one: the answer, or where it stopped. undefined: the other end is gone. */
  ask(packet) {
    const sum = [...packet].reduce((n, c) => (n + c.charCodeAt(0)) % 256, 0);
    this.#socket.write(`$${packet}#${sum.toString(16).padStart(2, '0')}`);
    return this.#packets.length > 0
      ? Promise.resolve(this.#packets.shift())
      : new Promise(resolve => this.#waiting.push(resolve));
  }
  breakAt = address => this.ask(`Z0,${address.toString(16)},1`);
  /** Goes on behind the breakpoint it stands at. */
  async next() {
    if ((await this.ask('s')) === undefined) return undefined;
    return this.ask('c');
  }
  /** In QEMU's order: rax rbx rcx rdx rsi rdi rbp rsp r8 ... r15 rip. */
  async registers() {
    const bytes = Buffer.from(await this.ask('g'), 'hex');
    return Array.from({ length: 17 }, (_, n) => bytes.readBigUInt64LE(8 * n));
  }
  async memory(at, length) {
    const text = await this.ask(`m${at.toString(16)},${length.toString(16)}`);
    return text.startsWith('E') ? Buffer.alloc(0) : Buffer.from(text, 'hex');
  }
  close = () => this.#socket.destroy();
}
