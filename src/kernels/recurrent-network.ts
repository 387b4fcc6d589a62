// The contract of what steps many streams through one network, whatever its kernel: a stream is a row of states, named by its slot.
// Three kernels keep it, and one suite holds them to it.

/** What makes the bits: WebAssembly SIMD with multiply-adds rounded once, the same with plain products and sums, or TypeScript. */
export type Kernel = "relaxed" | "plain" | "scalar";

/**
 * As the journal names a kernel: the number counts up whenever a change of it changes bits. The vector unit of 32-bit ARM puts 0 in place of
 * every number below 2^-126 (Arm ARM, "Advanced SIMD always uses flush-to-zero" in AArch32): other bits, so another name.
 */
export const kernelVersions: Readonly<Record<Kernel, string>> = {
  relaxed: "relaxed-1",
  plain: process.arch === "arm" ? "plain-flushed-1" : "plain-1",
  scalar: "scalar-1",
};

/** Buffers for batches of up to `rows` stream-steps that the network's kernel reads and writes in place. */
export interface LentBuffers {
  /** `(rows)` */
  readonly slots: Int32Array;
  /** `(rows, D)` */
  readonly x: Float32Array;
  /** `(rows, O)` */
  readonly y: Float32Array;
}

export interface RecurrentNetwork {
  readonly kernel: Kernel;
  /** The lengths of a stream's state tensors: layer after layer h and, for an LSTM, c. */
  readonly states: readonly number[];
  /** Slots below this exist. */
  readonly slots: number;
  /** Memory that the network holds: weights, scratch, and every stream's states. */
  readonly bytes: number;
  /** Makes sure of slots 0 to `count` - 1, new ones with states of zeros. Throws `unavailable` where there is no memory for them. */
  reserve(count: number): void;
  /** Sets a slot's states to zeros. */
  clear(slot: number): void;
  copy(from: number, to: number): void;
  /** Copies one of a slot's state tensors out, or in; `values` has its length. */
  read(slot: number, state: number, values: Float32Array): void;
  write(slot: number, state: number, values: Float32Array): void;
  /**
   * The network's own buffers. A step that is given exactly these objects copies nothing. They hold until the next `reserve`, which may
   * move memory: an old `x` has length 0 then, and is refused as too short.
   */
  lend(): LentBuffers;
  /**
   * Steps the streams of the first `count` (N) `slots` `steps` (T) times each: x `(T, N, D)` in the sensors' units to y `(T, N, O)` in the
   * targets'. A stream's outputs and states have the same bits whatever other streams are in the batch, in which order, and however its
   * readings are cut into calls. No slot may stand twice. Takes no memory. Throws assertions where a buffer is too short or a slot does
   * not exist; no state has changed then.
   */
  step(slots: Int32Array, count: number, steps: number, x: Float32Array, y: Float32Array): void;
}
