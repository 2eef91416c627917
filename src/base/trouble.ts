/**
 * Trouble is what a user must mend: a torn file, a wrong argument. It prints as one line, never as a stack, and a
 * command that meets it exits with 2.
 */
export class Trouble extends Error {
  override readonly name = 'Trouble';
}
/** The message of an unknown error as one line: a Trouble's own words, a system error's code and path. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, ' ');
}
