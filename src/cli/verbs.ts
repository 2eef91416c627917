/** The verbs, in the order people meet them. A summary here, everything else in the verb's own file. */
import type { Verb } from './verb.js';

interface Entry {
  readonly name: string;
  readonly summary: string;
  /** It writes files: the debugger does not take a few letters for it. */
  readonly writes?: true;
  readonly load: () => Promise<Verb>;
}

export const VERBS: readonly Entry[] = [
  { name: 'guests', summary: 'the guests that come with rewalk', load: () => import('./guests.js') },
  {
    name: 'record',
    summary: 'run a guest and record what its memory management does',
    writes: true,
    load: () => import('./record.js'),
  },
  {
    name: 'open',
    summary: 'the terminal debugger: rewind, look, compare',
    load: () => import('./open.js'),
  },
  {
    name: 'stats',
    summary: 'what a recording holds: events by kind, calls by name, size',
    load: () => import('./stats.js'),
  },
  { name: 'log', summary: 'print events, a line each', load: () => import('./log.js') },
  {
    name: 'show',
    summary: 'one event in full: its causes, its effects, the stack, the registers',
    load: () => import('./show.js'),
  },
  {
    name: 'regs',
    summary: 'the registers at a position, and since when each is known',
    load: () => import('./regs.js'),
  },
  {
    name: 'walk',
    summary: 'walk the page tables for an address: each level, its flags, who wrote it and when',
    load: () => import('./walk.js'),
  },
  {
    name: 'map',
    summary: 'an address space as ranges, or what changed in it between two positions',
    load: () => import('./map.js'),
  },
  {
    name: 'blame',
    summary: 'who last wrote an entry, a table, a frame or a register, and on whose behalf',
    load: () => import('./blame.js'),
  },
  { name: 'frame', summary: 'a frame: its type and counts, who maps it, its ledger', load: () => import('./frame.js') },
  {
    name: 'why',
    summary: 'why something was refused or ended: what holds the frame, who made it so, what had to come first',
    load: () => import('./why.js'),
  },
  {
    name: 'diff',
    summary: 'what one recording does otherwise than another, up to a renaming of frames',
    load: () => import('./diff.js'),
  },
  {
    name: 'accept',
    summary: 'take a new run over as the golden recording it differs from',
    writes: true,
    load: () => import('./accept.js'),
  },
  {
    name: 'check',
    summary: 'the first event that breaks a rule of the system: counts, types, tables that belong together',
    load: () => import('./check.js'),
  },
  { name: 'mem', summary: 'guest memory at a moment, by running again', load: () => import('./mem.js') },
  {
    name: 'expand',
    summary: 'run a stretch of a recording again and keep every instruction and store of it',
    writes: true,
    load: () => import('./expand.js'),
  },
  {
    name: 'export',
    summary: 'a recording for other tools: Parquet for SQL, a trace for the Perfetto UI, JSON',
    writes: true,
    load: () => import('./export.js'),
  },
  {
    name: 'explain',
    summary: 'what an error line of the hypervisor means; a whole log on a pipe',
    load: () => import('./explain.js'),
  },
  {
    name: 'verify',
    summary: 'check every byte of a recording, and with --rerun that the machine does the same again',
    load: () => import('./verify.js'),
  },
];
