/** What is exported as Parquet is read back by DuckDB, which knows nothing of us. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { asPaddr } from '../../src/base/brand.js';
import { drive, finish } from '../../src/base/work.js';
import { GUESTS, recordingOf } from '../../src/cli/built-in.js';
import { eventAt } from '../../src/events/block.js';
import { KIND, KIND_NAMES, KINDS, NO_FRAME } from '../../src/events/kinds.js';
import { callName, type Lexicon, wordOf } from '../../src/events/lexicon.js';
import type { AnyField } from '../../src/events/schema.js';
import { exportParquet, type ParquetOptions } from '../../src/export/parquet.js';
import { openRecording } from '../../src/recording/reader.js';
import type { Source } from '../../src/recording/source.js';
import { blameSlot } from '../../src/views/blame.js';
import { callCounts, statsOf } from '../../src/views/stats.js';
import { makeRecording, randomBelow, scratchDir, someDrafts } from '../recording/make.js';
import { eventsIn } from '../session/guests.js';
import { type Rows, sql, views } from './duck.js';

const dir = scratchDir();
const optionsFor = (source: Source, name: string, more: Partial<ParquetOptions> = {}): ParquetOptions => ({
  dir: join(dir, name),
  name,
  from: 0,
  to: source.count,
  detail: false,
  chain: source.chunks.at(-1)!.chain,
  ...more,
});
const exported = (source: Source, name: string, more: Partial<ParquetOptions> = {}) => {
  const options = optionsFor(source, name, more);
  return { dir: options.dir, result: finish(exportParquet(source, options)) };
};
const guest = (name: string): Source => openRecording(recordingOf(GUESTS.find(g => g.name === name)!));
const builtIn = guest('xen/user-pagetables');

/** A field as SQL has it. */
function expected(f: AnyField, v: unknown, lexicon: Lexicon): unknown {
  if (f.show === 'word') return wordOf(lexicon, f.table!, v as number);
  if (f.show === 'stack') return v === 0 ? null : v;
  return f.shape === 'word' && f.show === 'hex' && v === NO_FRAME ? null : v;
}

describe('a recording exported as Parquet', () => {
  it('has every field of every event of every kind, exactly', async () => {
    const seed = 4711;
    const file = join(dir, 'random.rewalk');
    makeRecording(file, someDrafts(seed, 3000), 700);
    const source = openRecording(file);
    const { dir: out, result } = exported(source, 'random');
    expect(result.events).toBe(3000);
    await views(out, KIND_NAMES);
    const events = source.chunks.flatMap((_, n) => eventsIn(source.chunk(n)));
    for (const kind of KIND_NAMES) {
      const rows = await sql(`select * from "${kind}" order by seq`);
      const fields = Object.entries(KINDS[kind].fields as Record<string, AnyField>);
      expect(rows, `seed ${seed}, ${kind}`).toEqual(
        events
          .filter(e => e.kind === kind)
          .map(e => ({
            seq: BigInt(e.seq),
            cause: e.cause < 0 ? null : BigInt(e.cause),
            ticks: BigInt(e.ticks),
            vcpu: e.vcpu,
            ...Object.fromEntries(
              fields.map(([name, f]) => [
                name,
                expected(f, (e as unknown as Record<string, unknown>)[name], source.lexicon),
              ]),
            ),
            ...('class' in e && 'number' in e ? { name: callName(source.lexicon, e.class, e.number) } : {}),
            recording: 'random',
          })),
      );
    }
    const [{ most }] = (await sql('select max("new") as most from store')) as [{ most: bigint }];
    expect(most).toBeGreaterThan(1n << 63n);
    source.close();
  });

  it('has as many events of each kind as stats counts, and the calls by name', async () => {
    const { dir: out } = exported(builtIn, 'counts');
    await views(out, KIND_NAMES);
    for (const { kind, count } of statsOf(builtIn).byKind)
      expect(await sql(`select count(*) as n from "${kind}"`), kind).toEqual([{ n: BigInt(count) }]);
    const counted = finish(callCounts(builtIn)).filter(c => c.calls > 0);
    const calls = await sql('select name, count(*) as n from call group by name');
    expect(Object.fromEntries(calls.map(r => [r.name, Number(r.n)]))).toEqual(
      Object.fromEntries(counted.map(c => [c.name, c.calls])),
    );
  });

  it('says by SQL who wrote an entry, as blame does', async () => {
    const { dir: out } = exported(builtIn, 'blame');
    await views(out, ['pte', 'adopt', 'release']);
    const ptes = builtIn.chunks.flatMap((_, n) => eventsIn(builtIn.chunk(n))).filter(e => e.kind === 'pte');
    const adopts = builtIn.chunks.flatMap((_, n) => eventsIn(builtIn.chunk(n))).filter(e => e.kind === 'adopt');
    const seed = 8;
    const below = randomBelow(seed);
    const asked = Array.from({ length: 60 }, (_, i) => {
      const e = i % 2 === 0 ? ptes[below(ptes.length)]! : adopts[below(adopts.length)]!;
      return { at: e.table * 4096 + (e.kind === 'pte' ? e.offset : 8 * below(512)), before: below(builtIn.count) };
    });
    const covers = (at: number) =>
      `space = 'guest' and "table"::bigint * 4096 + "offset" <= ${at} and "table"::bigint * 4096 + "offset" + bytes * len(entries) > ${at}`;
    for (const { at, before } of asked) {
      const [row] = await sql(`
        select max(seq) as seq from (
          select seq from pte where space = 'guest' and "table"::bigint * 4096 + "offset" = ${at}
          union all select seq from adopt where ${covers(at)}
          union all select seq from release where ${covers(at)})
        where seq < ${before}`);
      const blamed = blameSlot(builtIn, 'guest', asPaddr(at), before);
      expect(row!.seq, `seed ${seed}, ${at} before ${before}`).toBe(blamed ? BigInt(blamed.event.seq) : null);
    }
    expect(asked.some(({ at, before }) => blameSlot(builtIn, 'guest', asPaddr(at), before))).toBe(true);
  });

  it('names the functions of call stacks, and tells what was recorded', async () => {
    const { dir: out } = exported(builtIn, 'stacks');
    await views(out, ['pte', 'stack', 'recording']);
    const frames = await sql('select stack, depth, address from stack order by stack, depth');
    expect(frames.length).toBeGreaterThan(100);
    for (const f of frames) expect(builtIn.stack(f.stack as number)[f.depth as number]).toBe(f.address);
    // The write that user-pagetables-broken forgets, as its notes tell.
    const note = JSON.parse(readFileSync(`${builtIn.name}.notes.json`, 'utf8')).notes.find(
      (n: { name: string }) => n.name === 'both-halves',
    );
    const [write] = await sql(`
      select list(s."function" order by s.depth) as callers
      from pte p join stack s using (recording, stack) where p.seq = ${note.seq}`);
    expect((write!.callers as string[]).slice(0, 4)).toEqual(['xen_mc_flush', 'xen_mc_issue', 'set_pgd', 'pte_alloc']);
    expect(await sql('select guest, events, registers from recording')).toEqual([
      { guest: 'user-pagetables', events: BigInt(builtIn.count), registers: expect.stringContaining('"cr3"') },
    ]);
  });

  it('has the detail stream in tables of its own, numbered as positions are', async () => {
    const { dir: out } = exported(builtIn, 'detail', { detail: true, kinds: new Set([KIND.store, KIND.step]) });
    await views(out, ['detail_store', 'detail_step']);
    const steps = await sql('select count(*) as n from detail_step');
    const stores: { seq: number; sub: number; new: bigint }[] = [];
    let all = 0;
    let [seq, sub] = [-1, 0];
    for (const block of builtIn.details(0, builtIn.count))
      for (let i = 0; i < block.count; i++) {
        const anchor = block.first + block.back[i]! - 1;
        [seq, sub] = [anchor, anchor === seq ? sub + 1 : 1];
        const e = eventAt(block, i);
        if (e.kind === 'store') stores.push({ seq, sub, new: e.new });
        if (e.kind === 'step') all++;
      }
    expect(Number(steps[0]!.n)).toBe(all);
    expect(all).toBeGreaterThan(1000);
    const rows = await sql('select seq, sub, "new" from detail_store order by seq, sub');
    expect(rows.map(r => ({ seq: Number(r.seq), sub: Number(r.sub), new: r.new }))).toEqual(stores);
  });

  it('can be a range and some kinds, and several recordings are one table', async () => {
    const [a, b] = [builtIn, guest('xen/user-pagetables-broken')];
    const kinds = new Set([KIND.call]);
    for (const [name, source] of [
      ['good', a],
      ['bad', b],
    ] as const)
      finish(
        exportParquet(source, {
          ...optionsFor(source, name, { kinds, from: 12_000, to: 13_000 }),
          dir: join(dir, 'both'),
        }),
      );
    expect(readdirSync(join(dir, 'both')).sort()).toEqual(['call', 'recording', 'stack']);
    await views(join(dir, 'both'), ['call']);
    const rows = await sql(
      'select recording, count(*) as n, min(seq) as a, max(seq) as b from call group by all order by 1',
    );
    for (const [row, source] of [
      [rows[0]!, b],
      [rows[1]!, a],
    ] as const) {
      const calls = source.chunks
        .flatMap((_, n) => eventsIn(source.chunk(n)))
        .filter(e => e.kind === 'call' && e.seq >= 12_000 && e.seq < 13_000);
      expect([row.n, row.a, row.b].map(Number)).toEqual([calls.length, calls[0]!.seq, calls.at(-1)!.seq]);
    }
    b.close();
  });

  it('answers the queries that docs/export.md has for DuckDB', async () => {
    const { dir: out } = exported(builtIn, 'documented');
    const text = readFileSync(new URL('../../docs/export.md', import.meta.url), 'utf8');
    const code = /## DuckDB\n([\s\S]*?)\n## /
      .exec(text)![1]!
      .match(/^ {4}.*$/gm)!
      .join('\n');
    const statements = code
      .replaceAll(/--.*$/gm, '')
      .replaceAll('runs/', `${out}/`)
      .replaceAll('NAME', 'documented')
      .split(';');
    await views(out, [...KIND_NAMES, 'stack', 'recording']);
    const answers: Rows[] = [];
    for (const s of statements) if (s.trim() !== '') answers.push(await sql(s));
    const [, functions, blame, , inside, calls] = answers;
    expect(functions!.length).toBeGreaterThan(5);
    expect(blame).toEqual([
      {
        recording: 'documented',
        'max(seq)': BigInt(blameSlot(builtIn, 'guest', asPaddr(0x307010), 12_300)!.event.seq),
      },
    ]);
    expect(inside!.map(e => e.name)).toEqual([
      'update',
      'normal',
      'mmu_update',
      'mmu_update',
      'multicall',
      'multicall',
      'vector 14',
    ]);
    expect(calls!.find(c => c.name === 'multicall')!.documented).toBeGreaterThan(5n);
  });

  it('leaves nothing when it is interrupted', async () => {
    const abort = new AbortController();
    const options = optionsFor(builtIn, 'interrupted', { detail: true });
    let parts = 0;
    const long = function* () {
      for (const step of iterate(exportParquet(builtIn, options))) {
        parts = Math.max(parts, readdirSync(options.dir).length);
        abort.abort(new Error('enough'));
        yield step;
        for (const until = performance.now() + 10; performance.now() < until; );
      }
    };
    await expect(drive(long(), { signal: abort.signal })).rejects.toThrow('enough');
    expect(parts).toBeGreaterThan(10);
    expect(existsSync(options.dir)).toBe(false);
  });
});
/** The steps of work, without its result. */
function* iterate<T>(work: Generator<T, unknown, void>): Generator<T, undefined, void> {
  yield* work;
  return undefined;
}
