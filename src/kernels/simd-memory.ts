// Views of an instance's memory. Growing it detaches every view that there is, which then has length 0 and swallows what is written: so
// nobody keeps one. Whoever asks here gets one that is good until the next call into the instance that may grow memory.

export class SimdMemory {
  readonly #memory: WebAssembly.Memory;
  #floats: Float32Array;
  #integers: Int32Array;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#floats = new Float32Array(memory.buffer);
    this.#integers = new Int32Array(memory.buffer);
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** All of it; a value's index is its address / 4. */
  get floats(): Float32Array {
    if (this.#floats.length === 0) this.#floats = new Float32Array(this.#memory.buffer);
    return this.#floats;
  }

  get integers(): Int32Array {
    if (this.#integers.length === 0) this.#integers = new Int32Array(this.#memory.buffer);
    return this.#integers;
  }
}
