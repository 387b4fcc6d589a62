// A row times some columns of a matrix, summed as in add-product.ts.
import type { FloatArray } from "./tensor.ts";

/**
 * sums[sumsAt + j] += x W[:, column + j] for `columns` columns, for `x` of `count` values that start at `xAt` and lie `xStride`
 * apart, W `(count, width)` row-major. Each sum takes the inputs in index order.
 */
export function addProductColumns<A extends FloatArray>(
  sums: Float64Array,
  sumsAt: number,
  columns: number,
  x: A,
  xAt: number,
  xStride: number,
  count: number,
  W: A,
  width: number,
  column: number,
): void {
  for (let i = 0, at = xAt, row = column; i < count; i++, at += xStride, row += width) {
    const value = x[at]!;
    for (let j = 0; j < columns; j++) sums[sumsAt + j] = sums[sumsAt + j]! + value * W[row + j]!;
  }
}
