/**
 * Which user L4 belongs to which kernel L4: the two that were loaded together, in one call or batch. Nothing else says so:
 * the guest keeps it where only the guest looks. A pair lasts until neither is an L4 any more, or until one is loaded with
 * another partner.
 */
import { NO_FRAME } from '../../../events/kinds.js';
import type { World } from './world.js';

export interface Pair {
  readonly kernel: number;
  readonly user: number;
  /** The event that loaded the second of them. */
  readonly since: number;
}

export class Pairs {
  private readonly byKernel = new Map<number, Pair>();
  private readonly byUser = new Map<number, Pair>();

  of(table: number): Pair | undefined {
    return this.byKernel.get(table) ?? this.byUser.get(table);
  }
  get all(): Iterable<Pair> {
    return this.byKernel.values();
  }

  /** Both roots were loaded since event `from`: they belong together. Returns the pair if it is a new one. */
  loaded({ roots, rootsSince }: World, from: number): Pair | undefined {
    const { kernel, user } = roots;
    if (kernel === NO_FRAME || user === NO_FRAME || rootsSince.kernel < from || rootsSince.user < from)
      return undefined;
    if (this.byKernel.get(kernel)?.user === user) return undefined;
    this.drop(this.byKernel.get(kernel));
    this.drop(this.byUser.get(user));
    const pair = { kernel, user, since: Math.max(rootsSince.kernel, rootsSince.user) };
    this.byKernel.set(kernel, pair);
    this.byUser.set(user, pair);
    return pair;
  }
  drop(pair: Pair | undefined): void {
    if (!pair) return;
    this.byKernel.delete(pair.kernel);
    this.byUser.delete(pair.user);
  }
}
