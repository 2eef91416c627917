/** rewalk regs: the registers at a position, and since when each is known. */
import type { Command } from 'commander';
import { hex } from '../base/u64.js';
import { JSON_VERSION } from '../events/text.js';
import { isaOf } from '../isa/index.js';
import type { Source } from '../recording/source.js';
import { parsePosition } from '../state/position.js';
import { type RegisterValue, registersAt } from '../views/registers.js';
import { symbolAt, symbolText } from '../views/symbols.js';
import { placeText } from './ask.js';
import { json, out, paint } from './output.js';
import { countArgument, withRecording } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly vcpu: number;
  readonly json?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('[position]', 'when', 'end')
    .option('--vcpu <n>', 'of this processor', countArgument, 0)
    .option('--json', 'as one JSON object')
    .addHelpText(
      'after',
      "\nA register is shown as it was last recorded; `as of` says when, if that was before the position.\n\n  rewalk regs run.rewalk '#48211'",
    )
    .action((file: string, position: string, options: Options) => run(() => regs(file, position, options)));
};

export const registersJson = (values: readonly RegisterValue[]): unknown =>
  values.map(v => ({
    name: v.register?.name ?? `r?${v.number}`,
    value: `0x${hex(v.value)}`,
    asOf: v.asOf,
    sub: v.sub,
  }));

/** A line a register; what it was recorded at is said where that is older than `seq`. */
export function registersText(source: Source, values: readonly RegisterValue[], seq: number): string[] {
  const isa = isaOf(source.header.isa);
  return values.map(v => {
    const name = (v.register?.name ?? `?${v.number}`).padEnd(14);
    const value = hex(v.value)
      .padStart((v.register?.bits ?? 64) / 4, '0')
      .padStart(16);
    let meaning = '';
    if (v.number === isa?.roles.flags)
      meaning = isa.flagBits
        .filter(([bit]) => (v.value >> BigInt(bit)) & 1n)
        .map(([, flag]) => flag)
        .join(' ');
    else if (symbolAt(source.symbols, v.value as never)) meaning = symbolText(source.symbols, v.value as never);
    return `  ${name}${value}  ${v.asOf === seq ? '' : paint.dim(`as of #${v.asOf}${v.sub ? `.${v.sub}` : ''} `)}${meaning}`.trimEnd();
  });
}

const regs = (file: string, position: string, { vcpu, json: asJson }: Options): Promise<number> =>
  withRecording(file, async source => {
    const at = parsePosition(position, source);
    const values = registersAt(source, at, vcpu);
    if (asJson) json({ v: JSON_VERSION, at, vcpu, registers: registersJson(values) });
    else {
      out(`cpu${vcpu} at ${placeText(source, at)}${values.length ? '' : ': no register was recorded yet'}`);
      for (const line of registersText(source, values, at.seq)) out(line);
    }
    return 0;
  });
