/** The words of the bare machine: a guest in ring 0 that owns its page tables, and nothing between it and the processor. */
import type { Lexicon } from '../../events/lexicon.js';

/** Which way an entry was written. */
export const PATH = { store: 0, walker: 1, host: 2 } as const;
export const FORMAT = { fourLevel: 0 } as const;

export const PAGING = 'x86-64-4level';

/** Where the loader puts its own tables: an identity map of the first GiB in pages of 2 MiB. */
export const LOADER_TABLES = { root: 0x1000, l3: 0x2000, l2: 0x3000 } as const;
export const LOADER_DESCRIPTORS = 0x4000;
/** Images are loaded from here on. */
export const IMAGE_FROM = 0x10_0000;

/** A byte written here is printed. Bochs and QEMU have the same port. */
export const CONSOLE_PORT = 0xe9;

export const LEXICON: Lexicon = {
  words: { path: ['store', 'walker', 'host'], format: [PAGING] },
  calls: {},
  regions: [{ name: 'loader', from: '1000', to: '5000' }],
  paging: { guest: PAGING },
};
