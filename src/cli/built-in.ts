/** The guests that come with the program: images and what they show, in recordings/<system>/. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface BuiltIn {
  /** system/guest */
  readonly name: string;
  readonly summary: string;
}

export const GUESTS: readonly BuiltIn[] = [
  {
    name: 'bare/address-spaces',
    summary: 'demand paging, fork, copy on write and two address spaces, in two hundred lines',
  },
];

/** The package's own folder, from src/cli or dist/cli. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The ELF image of a guest. */
export const imageOf = ({ name }: BuiltIn): string => join(ROOT, 'recordings', `${name}.elf`);
/** The recording of it that comes with the program. */
export const recordingOf = ({ name }: BuiltIn): string => join(ROOT, 'recordings', `${name}.rewalk`);
