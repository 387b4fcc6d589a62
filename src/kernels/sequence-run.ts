// The contract of what trains one recurrent layer, whatever its kernel: T steps of N rows forward, and the gradients back through them.
// All arrays are in the caller's order, one sequence after another. A run is built for one N and T, lends its arrays, and takes no memory
// afterwards. Layers keep states between runs.
import type { CellLayer } from "./network-weights.ts";
import type { FloatArray } from "./tensor.ts";

/** State tensors stand in the order of `stateLengths`: h, and for an LSTM c. */
export interface SequenceRun<A extends FloatArray = Float32Array> {
  readonly N: number;
  readonly T: number;
  /** `(N, T, D)`: filled by the caller before a forward. */
  readonly inputs: A;
  /** `(N, H)` each: the states before the first step, filled by the caller before a forward, and kept as they are until its backward. */
  readonly initial: readonly A[];
  /** `(N, T, H)`: h after each step of the last forward. The backward reads its own, so a caller may write to these. */
  readonly outputs: A;
  /** `(N, H)` each: the states after the last step. */
  readonly final: readonly A[];
  /** `(N, T, H)`: the gradient by `outputs`, filled by the caller before a backward. */
  readonly dOutputs: A;
  /** `(N, T, D)`: the gradient by `inputs`, of the last backward that was asked for it. */
  readonly dInputs: A;
  /** `(N, H)` each: the gradients that reached the states before the first step. Nothing reaches those after the last but through `dOutputs`. */
  readonly dInitial: readonly A[];
  /** Steps with `layer`, whose numbers are read at each call. */
  forward(layer: CellLayer<A>): void;
  /**
   * Writes `dInitial` and, summed over N and T, the tensors of `grads`, those of the last forward's `layer` in shape; `dInputs` too
   * where `byInputs`.
   */
  backward(layer: CellLayer<A>, grads: CellLayer<A>, byInputs: boolean): void;
}
