/** rewalk check: does every rule of the system hold, and if not, which event broke one? */
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import { hex } from '../base/u64.js';
import type { Event } from '../events/kinds.js';
import { eventJson, JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { RULES } from '../rules/registry.js';
import type { Violation } from '../rules/system.js';
import { blameEvent } from '../views/blame.js';
import { blameJson, printBlame, whenText } from './ask.js';
import { json, out, paint } from './output.js';
import { withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly all?: true;
  readonly json?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .option('-a, --all', 'every violation, and what was broken only between two entries of a batch')
    .option('--json', 'one JSON object a finding, and one that sums up')
    .addHelpText(
      'after',
      `
The rules are over state alone: types, counts, page tables, roots. They must hold whenever the guest runs.
Exit code: 0 all hold, 1 one is broken, 2 the system has no rules.

  rewalk check run.rewalk
  rewalk check run.rewalk --all --json | jq -r .text`,
    )
    .action((file: string, options: Options) => run(() => check(file, options)));
};

const check = (file: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const rules = RULES.find(r => r.id === source.header.system);
    if (!rules?.check)
      throw new Trouble(
        `${file}: there are no rules for ${source.header.system}; there are for ${RULES.filter(r => r.check).map(r => r.id)}`,
      );
    const checked = await work('checking', rules.check(source, options.all ?? false));
    const { violations, windows, counted, events } = checked;
    const shown = options.all ? violations : violations.slice(0, 1);
    if (options.json) {
      for (const v of shown) json(findingJson(source, 'violation', v));
      if (options.all) for (const w of windows) json(findingJson(source, 'window', w));
      json({
        v: JSON_VERSION,
        what: 'sum',
        violations: counted,
        windows: windows.length,
        events,
        rules: checked.rules,
      });
      return counted.violations > 0 ? 1 : 0;
    }
    for (const v of shown) print(source, checked.rules, v);
    if (options.all)
      for (const w of windows)
        out(`window ${whenText(source, w.seq)} to ${whenText(source, w.until)}: ${w.text} ${paint.dim(`(${w.rule})`)}`);
    if (violations.length > 0) {
      if (options.all && counted.violations > violations.length)
        out(`... and ${counted.violations - violations.length} more`);
      return 1;
    }
    out(`${Object.keys(checked.rules).length} rules hold at every return to the guest, over ${events} events`);
    for (const rule of Object.values(checked.rules)) out(paint.dim(`  ${rule}`));
    if (!options.all && counted.windows > 0)
      out(`broken between two entries of a batch, and whole again after it: ${counted.windows}; --all shows them`);
    return 0;
  });

function print(source: Source, rules: Readonly<Record<string, string>>, v: Violation): void {
  out(paint.bold(`${paint.orange('broken')}: ${rules[v.rule] ?? v.rule}`));
  out(`${v.text}`);
  out(paint.dim(`broken by ${whenText(source, v.seq)}, and the guest ran on after ${whenText(source, v.until)}`));
  printBlame(source, blameEvent(source, v.seq));
  out('');
}
const findingJson = (source: Source, what: string, v: Violation): object => ({
  v: JSON_VERSION,
  what,
  ...v,
  frame: hex(v.frame),
  blame: blameJson(blameEvent(source, v.seq), (e: Event) => eventJson(e, source.lexicon)),
});
