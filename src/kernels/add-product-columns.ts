// A row times some columns of a matrix, summed as in add-product.ts.
import type { FloatArray } from "./tensor.ts";

/**
 * sums[sumsAt + j] += x W[:, column + j] for `columns` columns, for `x` `(count)` from `xAt`, W `(count, width)` row-major. Each sum takes
 * the inputs in index order.
 */
export function addProductColumns<A extends FloatArray>(
  sums: Float64Array,
  sumsAt: number,
  columns: number,
  x: A,
  xAt: number,
  count: number,
  W: A,
  width: number,
  column: number,
): void {
  for (let i = 0, row = column; i < count; i++, row += width) {
    const value = x[xAt + i]!;
    for (let j = 0; j < columns; j++) sums[sumsAt + j] = sums[sumsAt + j]! + value * W[row + j]!;
  }
}
