// The gradients of a product's weights and bias: one sum over all rows (T * N of them), in double precision, rounded once.
import { addProductColumns } from "./add-product-columns.ts";
import { addProduct } from "./add-product.ts";
import type { FloatArray } from "./tensor.ts";

/** out = x^T d, for x `(rows, D)`, d `(rows, H)`, out `(D, H)`; `sums` is scratch of at least H. */
export function sumOuterProducts<A extends FloatArray>(
  out: A,
  rows: number,
  x: A,
  D: number,
  d: A,
  H: number,
  sums: Float64Array,
): void {
  for (let i = 0; i < D; i++) {
    for (let j = 0; j < H; j++) sums[j] = 0;
    addProduct(sums, H, x, i, D, rows, d);
    for (let j = 0; j < H; j++) out[i * H + j] = sums[j]!;
  }
}

/**
 * The `columns` columns from `column` on of out = x^T d, for d `(rows, width)`, out `(D, width)`, and x `(rows, D)` whose rows start
 * `xStride` apart from `xAt` on; `sums` is scratch of at least `columns`.
 */
export function sumOuterProductColumns<A extends FloatArray>(
  out: A,
  rows: number,
  x: A,
  xAt: number,
  xStride: number,
  D: number,
  d: A,
  width: number,
  column: number,
  columns: number,
  sums: Float64Array,
): void {
  for (let i = 0; i < D; i++) {
    for (let j = 0; j < columns; j++) sums[j] = 0;
    addProductColumns(sums, 0, columns, x, xAt + i, xStride, rows, d, width, column);
    for (let j = 0; j < columns; j++) out[i * width + column + j] = sums[j]!;
  }
}

/** out = the sum of the rows of d `(rows, H)`, out `(H)`; `sums` is scratch of at least H. */
export function sumRows<A extends FloatArray>(out: A, rows: number, d: A, H: number, sums: Float64Array): void {
  for (let j = 0; j < H; j++) sums[j] = 0;
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < H; j++) sums[j] = sums[j]! + d[row * H + j]!;
  }
  for (let j = 0; j < H; j++) out[j] = sums[j]!;
}
