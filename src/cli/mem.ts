/** rewalk mem: guest memory at a moment. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { type Paddr, paddrOf, type Vaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { hex, hex16, parseHex } from '../base/u64.js';
import { NO_FRAME } from '../events/kinds.js';
import { JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { whyNoRerun } from '../session/may-rerun.js';
import { memoryAt } from '../session/memory.js';
import { formatPosition, parsePosition } from '../state/position.js';
import { memoryPieces, type Piece, physically, through } from '../views/memory.js';
import { rootAt } from '../views/slots.js';
import { needFormat } from '../views/walk.js';
import { placeText, type TableOptions, tableOptions } from './ask.js';
import { json, out, paint } from './output.js';
import { addressArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

type Options = TableOptions & { readonly at: string; readonly physical?: true; readonly json?: true };

const DEFAULT_BYTES = 256;
const MOST_BYTES = 2 ** 20;
const LINE = 16;

function lengthArgument(text: string): number {
  const n = /^0x/i.test(text)
    ? Number(parseHex(text) ?? Number.NaN)
    : /^\d{1,9}$/.test(text)
      ? Number(text)
      : Number.NaN;
  if (!(n >= 1 && n <= MOST_BYTES))
    throw new InvalidArgumentError(`a length is 1 to ${MOST_BYTES} bytes, like 64 or 0x40.`);
  return n;
}

export const define: Verb['define'] = (command: Command, run): void => {
  tableOptions(command)
    .argument('<file>', 'recording')
    .argument('<address>', 'virtual address', addressArgument)
    .argument('[length]', 'bytes', lengthArgument, DEFAULT_BYTES)
    .option('-a, --at <position>', 'when; #48211.37 is after that detail entry', 'end')
    .option('-p, --physical', 'the address is a physical one')
    .option('--json', 'one JSON object a piece: what follows each other in memory, or is not mapped')
    .addHelpText(
      'after',
      `
Runs again from the checkpoint before the position. Exit code: 0 all of it is there, 1 some of it is not mapped.

  rewalk mem run.rewalk 602000 64 --at '#218'
  rewalk mem run.rewalk 1005010 8 --physical --at '#300'    an entry of a page table, where it lies`,
    )
    .action((file: string, address: Vaddr, length: number, options: Options) =>
      run(() => mem(file, address, length, options)),
    );
};

const mem = (file: string, address: Vaddr, length: number, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const why = whyNoRerun(source);
    if (why) throw new Trouble(`${file}: memory is known only by running again: ${why}`);
    if (options.space !== 'guest' && !options.physical)
      throw new Trouble(`mem: ${options.space} tables do not lie in guest memory; use --physical`);
    const at = parsePosition(options.at, source);
    const root = options.physical ? undefined : await rootOf(source, at.seq, options);
    const memory = await work('running again', memoryAt(source, at));
    const find = root === undefined ? physically : through(memory, needFormat(source, options.space), root);
    const pieces = memoryPieces(memory, address, length, find);
    if (options.json)
      for (const piece of pieces) json({ v: JSON_VERSION, at: formatPosition(at), ...pieceJson(piece) });
    else {
      out(
        paint.dim(
          `${length} bytes at ${hex(address)}${root === undefined ? ' (physical)' : ''} at ${placeText(source, at)}`,
        ),
      );
      for (const piece of pieces) for (const line of pieceText(piece)) out(line);
    }
    return pieces.some(p => 'why' in p) ? 1 : 0;
  });

async function rootOf(source: Source, seq: number, options: TableOptions): Promise<Paddr> {
  if (options.root !== undefined) return paddrOf(options.root);
  const root = await work('looking for the root', rootAt(source, options, seq));
  if (root.frame === NO_FRAME)
    throw new Trouble(
      `${source.name}: no root table is loaded at ${formatPosition({ seq })}; use --root or --physical`,
    );
  return root.at;
}

const pieceJson = (p: Piece): object => ({
  from: `0x${hex(p.from)}`,
  ...('bytes' in p
    ? { physical: `0x${hex(p.physical)}`, bytes: Buffer.from(p.bytes).toString('hex') }
    : { length: p.length, notMapped: p.why }),
});

/** Lines begin at multiples of sixteen; `address  hex bytes  text`. */
function pieceText(p: Piece): string[] {
  if (!('bytes' in p))
    return [paint.orange(`${hex16(p.from)}-${hex16(p.from + BigInt(p.length))}  not mapped: ${p.why}`)];
  const lines: string[] = [];
  const skew = Number(p.from % BigInt(LINE));
  for (let n = -skew; n < p.bytes.length; n += LINE) {
    const cells = Array.from({ length: LINE }, (_, i) => p.bytes[n + i]);
    const digits = cells.map(b => (b === undefined ? '  ' : hex(b).padStart(2, '0')));
    const text = cells
      .map(b => (b === undefined ? ' ' : b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.'))
      .join('');
    lines.push(
      `${hex16(p.from + BigInt(n))}  ${digits.slice(0, 8).join(' ')}  ${digits.slice(8).join(' ')}  ${text}`.trimEnd(),
    );
  }
  return lines;
}
