/** rewalk frame: a frame's numbers, who maps it, its ledger. */
import type { Command } from 'commander';
import type { Frame } from '../base/brand.js';
import { hex, hex16 } from '../base/u64.js';
import type { FrameKind, Space } from '../events/kinds.js';
import { wordOf } from '../events/lexicon.js';
import { eventText, JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { frameAt } from '../views/frame.js';
import { ledger as ledgerOf } from '../views/ledger.js';
import { mappersAt, mappingsEver } from '../views/mappers.js';
import { placeText, whenText, wholePosition } from './ask.js';
import { fit, json, out, paint } from './output.js';
import { frameArgument, spaceArgument, withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly space: Space;
  readonly ever?: true;
  readonly ledger?: true;
  readonly json?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('<frame>', 'frame number in hex', frameArgument)
    .argument('[position]', 'when', 'end')
    .option('-s, --space <space>', 'guest, shadow, master or host tables', spaceArgument, 'guest')
    .option('-e, --ever', 'every mapping there ever was, not only those at the position')
    .option('-l, --ledger', 'every change of its numbers, with cause and balance; ! marks what was never repaid')
    .option('--json', 'one JSON object')
    .addHelpText('after', "\n  rewalk frame run.rewalk b1d89 '#48211'\n  rewalk frame run.rewalk b1d89 --ledger --ever")
    .action((file: string, frame: Frame, position: string, options: Options) =>
      run(() => frameVerb(file, frame, position, options)),
    );
};

const numberText = (source: Source, kind: FrameKind, value: number): string =>
  kind === 'type'
    ? wordOf(source.lexicon, 'frameType', value)
    : kind === 'typecount' || kind === 'total'
      ? String(value)
      : value
        ? 'yes'
        : 'no';

const frameVerb = (file: string, frame: Frame, position: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const seq = wholePosition(position, source, 'frame');
    const numbers = frameAt(source, frame, seq);
    const mappers = await work('looking for mappings', mappersAt(source, options.space, frame, seq));
    const ever = options.ever
      ? await work('reading history', mappingsEver(source, options.space, frame, seq))
      : undefined;
    const entries = options.ledger ? await work('reading the ledger', ledgerOf(source, frame, seq)) : undefined;
    if (options.json) {
      json({
        v: JSON_VERSION,
        frame: hex(frame),
        at: seq,
        numbers: Object.fromEntries(
          numbers.map(n => [
            n.kind,
            { value: n.kind === 'type' ? numberText(source, n.kind, n.value) : n.value, since: n.since },
          ]),
        ),
        mappers: mappers.map(m => ({ ...m, at: `0x${hex(m.at)}`, value: `0x${hex(m.value)}` })),
        ...(ever
          ? { ever: ever.map(m => ({ ...m, at: `0x${hex(m.at)}`, old: `0x${hex(m.old)}`, new: `0x${hex(m.new)}` })) }
          : {}),
        ...(entries ? { ledger: entries.map(e => ({ ...e, causes: e.causes.map(c => c.seq) })) } : {}),
      });
      return 0;
    }
    out(`frame ${hex(frame)} at ${placeText(source, { seq })}`);
    for (const n of numbers)
      if (n.since >= 0)
        out(
          `  ${n.kind.padEnd(10)} ${numberText(source, n.kind, n.value).padEnd(10)} ${paint.dim(`since ${whenText(source, n.since)}`)}`,
        );
    out(
      mappers.length > 0
        ? `${mappers.length === 1 ? '1 entry points' : `${mappers.length} entries point`} to it`
        : 'no entry points to it',
    );
    for (const m of mappers)
      out(
        fit(
          `  L${m.level} at ${hex(m.at).padStart(10)}  ${hex16(m.value)}  written #${m.since} @${m.sinceTicks}  ${m.flags}`,
        ),
      );
    if (ever) out(paint.bold('mappings ever'));
    for (const m of ever ?? [])
      out(
        fit(`  #${m.seq} @${m.ticks} ${m.what.padEnd(7)} L${m.level} at ${hex(m.at)}  ${hex(m.old)} -> ${hex(m.new)}`),
      );
    if (entries) out(paint.bold('ledger'));
    for (const e of entries ?? []) {
      const why = e.causes[0] ? `  inside #${e.causes[0].seq} ${eventText(e.causes[0], source.lexicon)}` : '';
      out(
        fit(
          `${e.neverRepaid ? '!' : ' '} #${e.seq} @${e.ticks} ${e.kind.padEnd(9)} ${numberText(source, e.kind, e.old)} -> ${numberText(source, e.kind, e.new)}${why}`,
        ),
      );
    }
    return 0;
  });
