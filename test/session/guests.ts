/** Recordings of the built-in bare guest, for tests: made once, in the system's folder for temporary files. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { finish } from '../../src/base/work.js';
import { type Block, eventAt } from '../../src/events/block.js';
import type { Event } from '../../src/events/kinds.js';
import { openRecording, type Recording } from '../../src/recording/reader.js';
import type { Source } from '../../src/recording/source.js';
import { type Recorded, type RecordOptions, record } from '../../src/session/record.js';

export const RECORDINGS = fileURLToPath(new URL('../../recordings/', import.meta.url));
export const IMAGE = readFileSync(join(RECORDINGS, 'bare/address-spaces.elf'));
/** Of address-spaces, from its first instruction to its hlt. */
export const TICKS = 177_436;

const folder = mkdtempSync(join(tmpdir(), 'rewalk-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
export const freshFile = (): string => join(folder, `${files++}.rewalk`);

/** Records address-spaces; what is not given is as the golden recording has it. */
export function recorded(options: Partial<RecordOptions> = {}): { file: string; result: Recorded } {
  const file = options.out ?? freshFile();
  const defaults = { system: 'bare', guest: 'address-spaces', image: IMAGE, detail: 'mmu' as const };
  const limits = { ticks: 10_000_000_000, events: 100_000_000 };
  return { file, result: finish(record({ ...defaults, limits, ...options, out: file })) };
}
export function opened(options: Partial<RecordOptions> = {}): Recording {
  return openRecording(recorded(options).file);
}

export const eventsIn = (block: Block): Event[] => Array.from({ length: block.count }, (_, i) => eventAt(block, i));
/** All events of the main stream. */
export const eventsOf = (source: Source): Event[] => source.chunks.flatMap((_, n) => eventsIn(source.chunk(n)));
