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
 * `gradientStride` bytes apart. Columns are padded to 16, inputs to 2, rows of sums lie `sumStride` bytes apart. The gradients of a tile's
 * columns stay in the first-level cache while all values pass them.
 */
export function addOuterProducts(
  values: usize, valueStride: usize, inputs: i32, gradients: usize, gradientStride: usize, columns: i32,
  sums: usize, sumStride: usize, count: i32,
): void {
  // In twenties, so that an even number is left to the pairs.
  const fives = inputs / 20 * 4;
  if (fives > 0) {
    addFives(values, valueStride, fives, gradients, gradientStride, columns, sums, sumStride, count);
    values += <usize>fives * 20; sums += <usize>fives * 5 * sumStride; inputs -= fives * 5;
  }
  if (inputs > 0) addPairs(values, valueStride, inputs, gradients, gradientStride, columns, sums, sumStride, count);
}

/** The same for `fives` times five inputs, in tiles of 5 by 8: ten chains, two gradients, at most three values until a break, never taken. */
export function addFives(
  values: usize, valueStride: usize, fives: i32, gradients: usize, gradientStride: usize, columns: i32,
  sums: usize, sumStride: usize, count: i32,
): void {
  for (; columns > 0; columns -= 8, gradients += 32, sums += 32) {
    let value = values, sum = sums;
    for (let n = 0; n < fives; n++, value += 20) {
      let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a;
      let at = value, from = gradients;
      for (let row = 0; row < count; row++, at += valueStride, from += gradientStride) {
        const low = v128.load(from), high = v128.load(from, 16);
        let u = v128.load32_splat(at), v = v128.load32_splat(at, 4);
        a = multiplyAdd(low, u, a); b = multiplyAdd(high, u, b); c = multiplyAdd(low, v, c); d = multiplyAdd(high, v, d); if (from & 3) break;
        u = v128.load32_splat(at, 8); v = v128.load32_splat(at, 12); const w = v128.load32_splat(at, 16);
        e = multiplyAdd(low, u, e); f = multiplyAdd(high, u, f); g = multiplyAdd(low, v, g); h = multiplyAdd(high, v, h);
        i = multiplyAdd(low, w, i); j = multiplyAdd(high, w, j);
      }
      addTo(sum, a, b); sum += sumStride;
      addTo(sum, c, d); sum += sumStride;
      addTo(sum, e, f); sum += sumStride;
      addTo(sum, g, h); sum += sumStride;
      addTo(sum, i, j); sum += sumStride;
    }
  }
}

/** The same for any inputs, in tiles of 2 by 16: eight chains, four gradients, two values. */
export function addPairs(
  values: usize, valueStride: usize, inputs: i32, gradients: usize, gradientStride: usize, columns: i32,
  sums: usize, sumStride: usize, count: i32,
): void {
  for (; columns > 0; columns -= 16, gradients += 64, sums += 64) {
    let value = values, sum = sums;
    for (let input = 0; input < inputs; input += 2, value += 8) {
      let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
      let at = value, from = gradients;
      for (let row = 0; row < count; row++, at += valueStride, from += gradientStride) {
        const v = v128.load32_splat(at), u = v128.load32_splat(at, 4);
        a = multiplyAdd(v128.load(from), v, a); e = multiplyAdd(v128.load(from), u, e);
        b = multiplyAdd(v128.load(from, 16), v, b); f = multiplyAdd(v128.load(from, 16), u, f);
        c = multiplyAdd(v128.load(from, 32), v, c); g = multiplyAdd(v128.load(from, 32), u, g);
        d = multiplyAdd(v128.load(from, 48), v, d); h = multiplyAdd(v128.load(from, 48), u, h);
      }
      addTo(sum, a, b); addTo(sum + 32, c, d); sum += sumStride;
      addTo(sum, e, f); addTo(sum + 32, g, h); sum += sumStride;
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
