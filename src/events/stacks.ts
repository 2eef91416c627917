/** Call stacks by number: the same addresses have the same number, from 1 on in the order in which they were first seen. */

interface Node {
  /** Of the stack that ends here; 0 until one does. */
  number: number;
  readonly callers: Map<bigint, Node>;
}
const node = (): Node => ({ number: 0, callers: new Map() });

/** A tree by addresses, innermost first: asking takes no text and no copy. */
export class StackNumbers {
  private readonly root = node();
  private last = 0;
  private readonly isNew: (addresses: readonly bigint[]) => void;

  /** @param isNew hears of each new stack, in the order of numbers; it must copy what it keeps */
  constructor(isNew: (addresses: readonly bigint[]) => void) {
    this.isNew = isNew;
  }
  /** The number of a stack; 0 for an empty one. */
  of(addresses: readonly bigint[]): number {
    if (addresses.length === 0) return 0;
    let at = this.root;
    for (const address of addresses) {
      let next = at.callers.get(address);
      if (!next) at.callers.set(address, (next = node()));
      at = next;
    }
    if (at.number === 0) {
      at.number = ++this.last;
      this.isNew(addresses);
    }
    return at.number;
  }
}
