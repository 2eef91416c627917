import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, no types
import { headerOf, iterate, writeFixtures } from '../../tools/cpu/fixtures.mjs';
// @ts-expect-error plain JavaScript, no types
import { FAMILIES, FORMS } from '../../tools/cpu/forms.mjs';
// @ts-expect-error plain JavaScript, no types
import { fuzz } from '../../tools/cpu/fuzz.mjs';
// @ts-expect-error plain JavaScript, no types
import { makeCase } from '../../tools/cpu/generate.mjs';
// @ts-expect-error plain JavaScript, no types
import { build, processorName, runNative, traceNative } from '../../tools/cpu/native.mjs';
// @ts-expect-error plain JavaScript, no types
import { createNativeRunner, differences } from '../../tools/cpu/replay.mjs';
// @ts-expect-error plain JavaScript, no types
import { weight } from '../../tools/cpu/shrink.mjs';

const dir = join(import.meta.dirname, '..', 'fixtures', 'cpu');
const fileOf = (family: string) => join(dir, `${family}.bin.br`);
const built: { file: string } | { reason: string } = build();
const made = readFileSync(join(dir, 'PROCESSOR.txt'), 'utf8').split('\n')[0];
const here = 'reason' in built ? built.reason : '';
const vendor = (name: string | undefined) => /\((\w+)/.exec(name ?? '')?.[1];
const otherVendor = vendor(made) === vendor(processorName()) ? '' : `made by ${made}, this is ${processorName()}`;

describe('the recorded answers of a real processor', () => {
  it('have a file for each family and nothing else, in less than 2.5 MB', () => {
    const files = readdirSync(dir).filter(f => f.endsWith('.br'));
    expect(files.sort()).toEqual(FAMILIES.map((f: string) => `${f}.bin.br`).sort());
    expect(files.reduce((n, f) => n + statSync(join(dir, f)).size, 0)).toBeLessThan(2_500_000);
  });

  it.each(FAMILIES as string[])('have cases of every form of %s, each of which the generator makes again', family => {
    const forms = FORMS.filter((f: { family: string }) => f.family === family);
    const { seed, forms: recorded } = headerOf(fileOf(family));
    expect(recorded.map(([id]: [string]) => id)).toEqual(forms.map((f: { id: string }) => f.id));
    // What moves or works bit by bit has no edges to look for: fewer cases do.
    const least = family === 'trap' ? 2 : /^(fetch|sse-(move|integer|shuffle))$/.test(family) ? 16 : 40;
    for (const [, cases] of recorded) expect(cases).toBeGreaterThanOrEqual(least);
    const byId = new Map(forms.map((f: { id: string }) => [f.id, f]));
    let ok = 0;
    let total = 0;
    for (const f of iterate(fileOf(family))) {
      total++;
      if (!f.expected.fault) ok++;
      if (f.n < 2) expect(f.case).toEqual(makeCase(byId.get(f.form), seed, f.n).case);
    }
    // Most cases run, and memory forms also fault; the two families of faults only fault.
    if (family === 'fetch') expect(ok).toBe(0);
    else if (family !== 'trap') expect(ok / total).toBeGreaterThan(0.7);
  });

  it('survive being written and read', () => {
    const seed = 99;
    const list = FORMS.filter((_: unknown, i: number) => i % 40 === 0).flatMap((form: { id: string }) =>
      [0, 1].map(n => {
        const c = makeCase(form, seed, n).case;
        const gpr = c.gpr.with(n, 0xffff_ffff_ffff_ffffn);
        const fault = n ? { vector: 14, error: 7, cr2: 0xffff_8000_0000_0000n } : undefined;
        const writes = [{ addr: 0x4001_0ffe, bytes: Uint8Array.of(1, 2, 3) }];
        const expected = {
          ...{ gpr, rip: c.rip - 5n, rflags: c.rflags ^ 0x8d5n, writes },
          ...(c.fx ? { fx: c.fx.with(3, c.fx[3] ^ 0x28).with(40, 1) } : {}), // another TOP
          ...(fault ? { fault } : {}),
        };
        return { form: form.id, n, case: c, expected, undef: { flags: n ? 0x800 : 0, regs: n ? 0x8001 : 0 } };
      }),
    );
    const file = writeFixtures('made-up', seed, list);
    const read = [...iterate(file)].map(({ undefinedFlags: flags, undefinedRegs: regs, ...rest }) => ({
      ...rest,
      undef: { flags, regs },
    }));
    expect(read).toEqual(list);
  });

  it.skipIf(here || otherVendor)(
    `are what the processor says again${here || otherVendor ? ` (skipped: ${here || otherVendor})` : ''}`,
    () => {
      for (const family of FAMILIES) {
        const sample = [...iterate(fileOf(family))].filter((_, i) => i % 11 === 0);
        const results = runNative(sample.map(f => f.case));
        sample.forEach((f, i) => {
          const undef = { flags: f.undefinedFlags, regs: f.undefinedRegs };
          expect(differences(f.case, f.expected, results[i], undef), `${f.form}, case ${f.n}`).toEqual([]);
        });
      }
    },
  );
});

describe.skipIf(here)(`fuzzing against the processor${here ? ` (skipped: ${here})` : ''}`, () => {
  const once = { seed: 7, each: 3, more: (round: number) => round < 1 };

  it('finds nothing wrong with the processor itself', () => {
    const { cases, failures, refused } = fuzz(createNativeRunner(), once);
    expect(cases).toBe(FORMS.length * 3);
    expect(failures).toEqual([]);
    expect(refused.size).toBe(0);
  });

  it('finds a wrong carry in adc and makes the case small', () => {
    const native = createNativeRunner();
    const forms = FORMS.filter((f: { id: string }) => /^(01|81 \/[02]|11) .* (16|64) (reg|mem)$/.test(f.id));
    const wrong = (cases: { form: string; rflags: bigint }[]) =>
      native.runAll(cases.map(c => (c.form.includes(' adc ') ? { ...c, rflags: c.rflags & ~1n } : c)));
    const { failures } = fuzz({ runAll: wrong }, { ...once, each: 12, forms });
    expect(forms.length).toBe(16);
    expect(failures.length).toBe(8);
    for (const f of failures) {
      expect(f.form).toContain(' adc ');
      expect(f.case.rflags & 1n).toBe(1n);
      expect(f.reasons.length).toBeGreaterThan(0);
      const start = makeCase(
        forms.find((g: { id: string }) => g.id === f.form),
        f.seed,
        f.n,
      ).case;
      expect(weight(f.case)).toBeLessThan(weight(start) / 4);
    }
  });

  it('does not mind what the manual leaves undefined, and counts what is refused', () => {
    const native = createNativeRunner();
    const forms = FORMS.filter((f: { op: string }) => f.op === 'and' || f.op === 'div');
    const refuses = (cases: { form: string }[]) =>
      native.runAll(cases).map((result: { rflags: bigint; fault?: unknown }, i: number) => {
        if (cases[i]!.form.includes(' div ')) return { ...result, refused: 'no division yet' };
        return result.fault ? result : { ...result, rflags: result.rflags ^ 0x10n };
      });
    const { failures, refused } = fuzz({ runAll: refuses }, { ...once, forms });
    expect(failures).toEqual([]);
    expect(new Set(refused.values())).toEqual(new Set(['no division yet']));
  });
});

describe.skipIf(here)(`the optional x87 and SSE state${here ? ` (skipped: ${here})` : ''}`, () => {
  it('goes in and comes back: paddd and fld1 change what they should and nothing else', () => {
    const plain = makeCase(FORMS[0], 1, 0).case;
    const fx = Uint8Array.from({ length: 416 }, (_, i) => (i < 160 ? 0 : i & 0xff));
    fx.set([0x7f, 0x03], 0); // control word
    fx.set([0x80, 0x1f], 24); // mxcsr
    const run = (...code: number[]) => runNative([{ ...plain, code: Uint8Array.from(code), fx }])[0];

    const paddd = run(0x66, 0x0f, 0xfe, 0xc1); // paddd xmm0, xmm1
    expect(paddd.fault).toBeUndefined();
    const words = (image: Uint8Array, n: number) =>
      Array.from(new Uint32Array(image.slice(160 + n * 16, 176 + n * 16).buffer));
    const sum = words(fx, 0).map((a, i) => (a + words(fx, 1)[i]!) >>> 0);
    expect(words(paddd.fx, 0)).toEqual(sum);
    expect(paddd.fx.slice(176)).toEqual(fx.slice(176));

    const fld1 = run(0xd9, 0xe8);
    expect(fld1.fault).toBeUndefined();
    expect((fld1.fx[3] >> 3) & 7).toBe(7); // the stack's top, in the status word
    expect(Array.from(fld1.fx.slice(32, 42))).toEqual([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);
    expect(fld1.fx.slice(160)).toEqual(fx.slice(160));
  });
});

describe.skipIf(here)(`tracing a program on the processor${here ? ` (skipped: ${here})` : ''}`, () => {
  it('prints each instruction once, repeated ones too, and why it ended', () => {
    const out = mkdtempSync(join(tmpdir(), 'rewalk-trace-'));
    try {
      const program = join(out, 'program');
      const source = [
        '.globl _start',
        '_start: mov $3, %ecx',
        'lea buffer(%rip), %rdi',
        'rep stosb',
        'loop: dec %eax',
        'cmp $-2, %eax',
        'jne loop',
        'ud2',
        '.bss',
        'buffer: .skip 16',
      ];
      const flags = ['-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none', '-x', 'assembler', '-', '-o', program];
      const made = spawnSync('gcc', flags, { input: `${source.join('\n')}\n`, encoding: 'utf8' });
      expect(made.stderr).not.toContain('rror');
      const lines: string[] = traceNative(program, 100).trimEnd().split('\n');
      expect(lines[0]).toMatch(/^[0-9a-f]+ rax=0 rcx=0 .* rflags=202 mxcsr=1f80 xmm0=0+ /);
      // mov, lea, rep stosb, then twice dec, cmp, jne; ud2 raises signal 4.
      expect(lines.length).toBe(1 + 3 + 6 + 1);
      expect(lines[3]).toMatch(/ rcx=0 rdi=[0-9a-f]+$/);
      expect(lines[4]).toMatch(/ rax=ffffffff rflags=296$/);
      expect(lines.at(-1)).toBe('end signal 4');
      expect(traceNative(program, 2).trimEnd().split('\n').slice(0, 3)).toEqual(lines.slice(0, 3));
    } finally {
      rmSync(out, { recursive: true });
    }
  });
});
