// A row times a transposed matrix: how a gradient goes back through a product.
import type { FloatArray } from "./tensor.ts";

/**
 * out += d W^T, for `d` `(width)` from `dAt`, `out` `(count)` from `outAt`, and W the `width` columns from `column` on of a matrix
 * `(count, stride)`, row-major: the whole of it unless given. Sums are in double precision.
 */
export function addProductTransposed<A extends FloatArray>(
  out: A,
  outAt: number,
  count: number,
  d: A,
  dAt: number,
  width: number,
  W: A,
  stride = width,
  column = 0,
): void {
  let i = 0;
  let row = column;
  // Four rows of W a pass: each value of d is read once for four products.
  for (; i + 4 <= count; i += 4, row += 4 * stride) {
    const row1 = row + stride;
    const row2 = row1 + stride;
    const row3 = row2 + stride;
    let sum = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let j = 0; j < width; j++) {
      const value = d[dAt + j]!;
      sum += value * W[row + j]!;
      sum1 += value * W[row1 + j]!;
      sum2 += value * W[row2 + j]!;
      sum3 += value * W[row3 + j]!;
    }
    const at = outAt + i;
    out[at] = out[at]! + sum;
    out[at + 1] = out[at + 1]! + sum1;
    out[at + 2] = out[at + 2]! + sum2;
    out[at + 3] = out[at + 3]! + sum3;
  }
  for (; i < count; i++, row += stride) {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += d[dAt + j]! * W[row + j]!;
    out[outAt + i] = out[outAt + i]! + sum;
  }
}
