// Callbacks that wait for a position, in the order in which they were added.

interface Waiting {
  readonly position: number;
  readonly run: () => void;
}

export class PositionQueue {
  #reached: number;
  #waiting: Waiting[] = [];

  constructor(reached: number) {
    this.#reached = reached;
  }

  get reached(): number {
    return this.#reached;
  }

  /** Runs `run` once `position` is reached: at once where it is. Positions never fall from one call to the next. */
  when(position: number, run: () => void): void {
    if (position <= this.#reached) run();
    else this.#waiting.push({ position, run });
  }

  advance(position: number): void {
    this.#reached = Math.max(this.#reached, position);
    let done = 0;
    while (done < this.#waiting.length && this.#waiting[done]!.position <= this.#reached) this.#waiting[done++]!.run();
    this.#waiting.splice(0, done);
  }
}
