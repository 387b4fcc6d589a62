// A row times a matrix, summed in double precision. All forward arithmetic is made of this: a row of sums starts as the bias, takes
// the inputs, then the state, each in index order, and is rounded once when it is stored. A sum's order never depends on how many
// rows or steps are asked for together, so a stream's bits do not depend on its neighbours.
import type { FloatArray } from "./tensor.ts";

/**
 * sums += x W, for `x` of `count` values that start at `xAt` and lie `xStride` apart, W `(count, width)` row-major from index 0,
 * `sums` `(width)`.
 */
export function addProduct<A extends FloatArray>(
  sums: Float64Array,
  width: number,
  x: A,
  xAt: number,
  xStride: number,
  count: number,
  W: A,
): void {
  let i = 0;
  let at = xAt;
  let row = 0;
  // Four inputs a pass: a sum is read and written once for four products, and still takes them one after the other.
  for (; i + 4 <= count; i += 4, at += 4 * xStride, row += 4 * width) {
    const x0 = x[at]!;
    const x1 = x[at + xStride]!;
    const x2 = x[at + 2 * xStride]!;
    const x3 = x[at + 3 * xStride]!;
    const row1 = row + width;
    const row2 = row1 + width;
    const row3 = row2 + width;
    for (let j = 0; j < width; j++) {
      sums[j] = sums[j]! + x0 * W[row + j]! + x1 * W[row1 + j]! + x2 * W[row2 + j]! + x3 * W[row3 + j]!;
    }
  }
  for (; i < count; i++, at += xStride, row += width) {
    const x0 = x[at]!;
    for (let j = 0; j < width; j++) sums[j] = sums[j]! + x0 * W[row + j]!;
  }
}
