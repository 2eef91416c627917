// Where to look in Xen's code: its functions, and the places that calls return to.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const { parseElf } = await import(fileURLToPath(new URL('../../dist/isa/elf.js', import.meta.url)));
/** call rel32. */
const CALL = { opcode: 0xe8, bytes: 5 };

/** @param xen as realXen gives it */
export function placesOf({ symbols, map }) {
  const list = readFileSync(map, 'utf8')
    .split('\n')
    .map(line => /^0x(\w+) [Tt] (\S+)$/.exec(line))
    .filter(Boolean)
    .map(([, at, name]) => ({ at: BigInt(`0x${at}`), name }))
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  const indexOf = name => {
    const found = list.findIndex(s => s.name === name);
    if (found < 0) throw new Error(`${map}: no function ${name}`);
    return found;
  };
  const addressOf = name => list[indexOf(name)].at;
  const text = parseElf(readFileSync(symbols), symbols).sections.find(s => s.name === '.text');
  return {
    addressOf,
    /** Behind the calls of `callee` in `caller`. */
    behindCalls(caller, callee) {
      const n = indexOf(caller);
      const [from, to] = [list[n].at, list[n + 1].at].map(at => Number(at - text.at));
      const target = Number(addressOf(callee) - text.at);
      const code = Buffer.from(text.data.buffer, text.data.byteOffset, text.data.length);
      const found = [];
      for (let at = from; at + CALL.bytes <= to; at++) {
        const next = at + CALL.bytes;
        if (code[at] === CALL.opcode && next + code.readInt32LE(at + 1) === target) found.push(text.at + BigInt(next));
      }
      if (found.length === 0) throw new Error(`${symbols}: ${caller} does not call ${callee}`);
      return found;
    },
  };
}
