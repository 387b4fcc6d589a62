// The contract of what trains one recurrent layer, whatever its kernel: T steps of N rows forward, and the gradients back through them.
// What goes in is time-major, so that the rows of one step lie together; what comes out is in the caller's order. A run is built for one N
// and T, lends its arrays, and takes no memory afterwards. Layers keep states between runs.
import type { CellLayer } from "./network-weights.ts";
import type { FloatArray } from "./tensor.ts";

/** State tensors stand in the order of `stateLengths`: h, and for an LSTM c. */
export interface SequenceRun<A extends FloatArray = Float32Array> {
  readonly N: number;
  readonly T: number;
  /** `(N, H)` each: the states before the first step, filled by the caller before a forward, and kept as they are until its backward. */
  readonly initial: readonly A[];
  /** `(N, T, H)`: h after each step of the last forward. The backward reads its own, so a caller may write to these. */
  readonly outputs: A;
  /** `(N, H)` each: the states after the last step. */
  readonly final: readonly A[];
  /** `(T, N, H)`: the gradient by `outputs`, filled by the caller before a backward, which may overwrite it. */
  readonly dhs: A;
  /** `(N, T, D)`: the gradient by what came in, of the last backward that was asked for it. */
  readonly inputGradients: A;
  /** `(N, H)` each: the gradients that reached the states before the first step. Nothing reaches those after the last but through `dhs`. */
  readonly dInitial: readonly A[];
  /** Copies one of the two from a caller's sequences: the inputs `(N, T, D)` before a forward, or `dhs` `(N, T, H)` before a backward. */
  take(name: "xs" | "dhs", sequences: A): void;
  /** Steps with `layer`, whose numbers are read at each call. */
  forward(layer: CellLayer<A>): void;
  /**
   * Writes `dInitial` and, summed over N and T, the tensors of `grads`, those of the last forward's `layer` in shape; `inputGradients` too
   * where `byInputs`.
   */
  backward(layer: CellLayer<A>, grads: CellLayer<A>, byInputs: boolean): void;
}
