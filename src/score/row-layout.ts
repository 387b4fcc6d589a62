// Where the parts of a scorer keep what they remember of a stream: each takes a range of the stream's row when it is built, and nothing
// of a stream lies anywhere else.

export class RowLayout {
  #size = 0;

  /** The first of `count` values that nobody else uses. */
  take(count: number): number {
    const first = this.#size;
    this.#size += count;
    return first;
  }

  get size(): number {
    return this.#size;
  }
}
