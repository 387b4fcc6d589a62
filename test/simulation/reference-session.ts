// Which messages without identity were accepted in the broker's session at hand, as it should be known after each operation. It knows
// messages by what they are, where the runtime has only packet ids and contents.

export interface SessionMoment {
  readonly inDoubt: boolean;
  readonly isEmpty: boolean;
}

interface Entry extends SessionMoment {
  readonly operation: number;
  /** The message accepted by it; undefined where it was none. */
  readonly id: number | undefined;
}

const BEFORE: SessionMoment = { inDoubt: false, isEmpty: true };

export class ReferenceSession {
  readonly #entries: Entry[] = [];
  readonly #ids = new Set<number>();

  get inDoubt(): boolean {
    return (this.#entries.at(-1) ?? BEFORE).inDoubt;
  }

  get isEmpty(): boolean {
    return this.#ids.size === 0;
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  add(id: number, operation: number): void {
    this.#ids.add(id);
    this.#entries.push({ operation, id, inDoubt: this.inDoubt, isEmpty: false });
  }

  /** A connection is asked for: whether there will be another session is not known. */
  doubt(operation: number): void {
    this.#entries.push({ operation, id: undefined, inDoubt: true, isEmpty: false });
  }

  believe(operation: number): void {
    this.#entries.push({ operation, id: undefined, inDoubt: false, isEmpty: this.isEmpty });
  }

  /** Another session, or who knows: the broker may send again what was accepted before, or something else under its id. */
  forget(operation: number): void {
    this.#ids.clear();
    this.#entries.push({ operation, id: undefined, inDoubt: false, isEmpty: true });
  }

  /** After an operation. */
  at(last: number): SessionMoment {
    return this.#entries.findLast(({ operation }) => operation <= last) ?? BEFORE;
  }

  rollBack(last: number): void {
    while (this.#entries.length > 0 && this.#entries.at(-1)!.operation > last) this.#entries.pop();
    this.#ids.clear();
    for (const { id, isEmpty } of this.#entries) {
      if (id !== undefined) this.#ids.add(id);
      else if (isEmpty) this.#ids.clear();
    }
  }
}
