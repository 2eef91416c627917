/** rewalk walk: the page walk of an address. */
import type { Command } from 'commander';
import type { Vaddr } from '../base/brand.js';
import { hex, hex16 } from '../base/u64.js';
import { JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { type Walk, walk as walkView } from '../views/walk.js';
import {
  frameText,
  permissionText,
  placeText,
  sizeText,
  type TableOptions,
  tableOptions,
  whenText,
  wholePosition,
} from './ask.js';
import { json, out, paint } from './output.js';
import { addressArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

type Options = TableOptions & { readonly json?: true };

export const define: Verb['define'] = (command: Command, run): void => {
  tableOptions(command)
    .argument('<file>', 'recording')
    .argument('<address>', 'virtual address', addressArgument)
    .argument('[position]', 'when', 'end')
    .option('--json', 'as one JSON object')
    .addHelpText('after', "\nExit code: 0 mapped, 1 not mapped.\n\n  rewalk walk run.rewalk ffff888001a3c018 '#48211'")
    .action((file: string, address: Vaddr, position: string, options: Options) =>
      run(() => walk(file, address, position, options)),
    );
};

const walk = (file: string, address: Vaddr, position: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const seq = wholePosition(position, source, 'walk');
    const w = await work('walking', walkView(source, address, seq, options));
    if (options.json) json({ v: JSON_VERSION, at: seq, ...walkJson(w) });
    else {
      out(`${hex16(address)} in ${options.space} tables at ${placeText(source, { seq })}`);
      for (const line of walkText(source, w)) out(line);
    }
    return w.verdict.kind === 'mapped' ? 0 : 1;
  });

const walkJson = (w: Walk): object => ({
  vaddr: `0x${hex(w.vaddr)}`,
  space: w.space,
  root: { frame: frameText(w.root.frame), since: w.root.since, from: w.root.from },
  steps: w.steps.map(s => ({ ...s, slot: `0x${hex(s.slot)}`, value: `0x${hex(s.value)}` })),
  verdict:
    w.verdict.kind === 'mapped'
      ? { ...w.verdict, paddr: `0x${hex(w.verdict.paddr)}`, frame: hex(w.verdict.frame) }
      : w.verdict,
});

/** A line a level and the verdict. */
export function walkText(source: Source, w: Walk): string[] {
  const root = `root ${frameText(w.root.frame)}  ${w.root.from}${w.root.since >= 0 ? ` ${whenText(source, w.root.since)}` : ''}`;
  const steps = w.steps.map(
    s =>
      `${s.level}[${String(s.index).padStart(3)}] at ${hex(s.slot).padStart(10)}  ${hex16(s.value)}  ${paint.dim(`written ${whenText(source, s.writer)}`)}  ${s.flags}`,
  );
  const v = w.verdict;
  const verdict =
    v.kind === 'mapped'
      ? `-> ${hex(v.paddr)} in frame ${hex(v.frame)}, ${sizeText(BigInt(v.bytes))} page, ${permissionText(v.permissions).trimEnd()}`
      : `-> stops at ${v.level}: ${v.why}`;
  return [root, ...steps, paint.bold(verdict)];
}
