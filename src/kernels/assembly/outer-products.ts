// The gradients of a product's weights and bias: sums over all rows. A call sums its rows in order from 0 on, one multiply-add each, and
// adds that to what was there: with as many rows in every call, sums of a hundred thousand rows lose little, and the order is one. Lanes beyond a matrix's columns and rows beyond its inputs are summed from whatever lies there, stay apart,
// and are for nobody to read.
import { multiplyAdd } from "./multiply-add";

@inline
function addTo(sums: usize, low: v128, high: v128): void {
  v128.store(sums, f32x4.add(v128.load(sums), low));
  v128.store(sums, f32x4.add(v128.load(sums, 16), high), 16);
}

/**
 * sums (inputs, columns) += values^T gradients, for `count` rows of values (inputs) and gradients (columns), `valueStride` and
 * `gradientStride` bytes apart. Columns are padded to 8, inputs to 4, rows of sums lie `sumStride` bytes apart. Tiles of 4 by 8: eight
 * chains, two gradients, four values. The gradients of a tile's columns stay in the first-level cache while all values pass them.
 */
export function addOuterProducts(
  values: usize, valueStride: usize, inputs: i32, gradients: usize, gradientStride: usize, columns: i32,
  sums: usize, sumStride: usize, count: i32,
): void {
  for (; columns > 0; columns -= 8, gradients += 32, sums += 32) {
    let value = values, sum = sums;
    for (let input = 0; input < inputs; input += 4, value += 16) {
      const sum1 = sum + sumStride, sum2 = sum1 + sumStride, sum3 = sum2 + sumStride;
      let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
      let at = value, from = gradients;
      for (let row = 0; row < count; row++, at += valueStride, from += gradientStride) {
        const low = v128.load(from), high = v128.load(from, 16);
        const u = v128.load32_splat(at), v = v128.load32_splat(at, 4), w = v128.load32_splat(at, 8), x = v128.load32_splat(at, 12);
        a = multiplyAdd(low, u, a); b = multiplyAdd(high, u, b); c = multiplyAdd(low, v, c); d = multiplyAdd(high, v, d);
        e = multiplyAdd(low, w, e); f = multiplyAdd(high, w, f); g = multiplyAdd(low, x, g); h = multiplyAdd(high, x, h);
      }
      addTo(sum, a, b); addTo(sum1, c, d); addTo(sum2, e, f); addTo(sum3, g, h);
      sum = sum3 + sumStride;
    }
  }
}

/** sums (columns) += the `count` rows of gradients, `gradientStride` bytes apart. Columns are padded to 16. */
export function addRows(gradients: usize, gradientStride: usize, columns: i32, sums: usize, count: i32): void {
  for (; columns > 0; columns -= 16, gradients += 64, sums += 64) {
    let a = f32x4.splat(0), b = a, c = a, d = a;
    let from = gradients;
    for (let row = 0; row < count; row++, from += gradientStride) {
      a = f32x4.add(a, v128.load(from)); b = f32x4.add(b, v128.load(from, 16));
      c = f32x4.add(c, v128.load(from, 32)); d = f32x4.add(d, v128.load(from, 48));
    }
    addTo(sums, a, b); addTo(sums + 32, c, d);
  }
}
