/** Things by name, as many as fit into so many bytes of memory: least recently used first out. */
export class Recent<Name, Thing> {
  private readonly kept = new Map<Name, Thing>();
  private readonly most: number;
  private readonly bytesOf: (thing: Thing) => number;
  private held = 0;

  /** @param bytesOf about what a thing takes; always the same for the same thing */
  constructor(most: number, bytesOf: (thing: Thing) => number) {
    this.most = most;
    this.bytesOf = bytesOf;
  }
  get(name: Name): Thing | undefined {
    const thing = this.kept.get(name);
    if (thing === undefined) return undefined;
    this.kept.delete(name);
    this.kept.set(name, thing);
    return thing;
  }
  /** Keeps a thing, under a name that none is kept under. */
  set(name: Name, thing: Thing): void {
    this.kept.set(name, thing);
    this.held += this.bytesOf(thing);
    for (const [oldest, gone] of this.kept) {
      if (this.held <= this.most) break;
      this.kept.delete(oldest);
      this.held -= this.bytesOf(gone);
    }
  }
}
