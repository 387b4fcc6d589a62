// Where weights start. Each fills a tensor that is already there, from a generator that is handed in, so that a seed repeats a network.
import type { Random } from "../base/random.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkMatrix } from "./check-shape.ts";

/** Uniform in [-bound, bound). PyTorch starts a recurrent layer and a linear one with bound = 1 / sqrt(H), H its hidden or input size. */
export function fillUniform<A extends FloatArray>({ data }: Tensor<A>, bound: number, random: Random): void {
  for (let i = 0; i < data.length; i++) data[i] = (2 * random.next() - 1) * bound;
}

/** Uniform with the variance 2 / (rows + columns) that keeps signals and gradients of one size (Glorot and Bengio, 2010). */
export function fillXavier<A extends FloatArray>(matrix: Tensor<A>, random: Random): void {
  checkMatrix("initialize a matrix", "the tensor", matrix, undefined, undefined);
  fillUniform(matrix, Math.sqrt(6 / (matrix.shape[0]! + matrix.shape[1]!)), random);
}

/**
 * A random orthogonal matrix times `gain`, for a square matrix such as Wh: it neither shrinks nor stretches a state (Saxe et al., 2014).
 * Gram-Schmidt on rows of normal draws, each made orthogonal to the rows above twice, since once leaves rounding behind.
 */
export function fillOrthogonal<A extends FloatArray>(matrix: Tensor<A>, random: Random, gain = 1): void {
  checkMatrix("initialize a matrix", "the tensor", matrix, matrix.shape[1] ?? 0, undefined);
  const H = matrix.shape[0]!;
  const rows = Float64Array.from({ length: H * H }, () => random.normal());
  for (let row = 0; row < H; row++) {
    const at = row * H;
    for (let above = 0; above < 2 * row; above++) {
      const other = (above % row) * H;
      let projection = 0;
      for (let j = 0; j < H; j++) projection += rows[at + j]! * rows[other + j]!;
      for (let j = 0; j < H; j++) rows[at + j] = rows[at + j]! - projection * rows[other + j]!;
    }
    let squares = 0;
    for (let j = 0; j < H; j++) squares += rows[at + j]! * rows[at + j]!;
    const length = Math.sqrt(squares);
    for (let j = 0; j < H; j++) rows[at + j] = rows[at + j]! / length;
  }
  for (let i = 0; i < rows.length; i++) matrix.data[i] = gain * rows[i]!;
}
