// Many rows times a matrix of few columns, as the head and the gradient by a layer's inputs have: panels of 8 columns, and four rows side
// by side. Eight chains, two weights and four values are fourteen registers, as in multiply-rows.ts, whose order of sums it keeps: start +
// row[0] w[0] + row[1] w[1] + ..., whatever is worked on side by side. It writes whole rows and nothing behind them.
import { multiplyAdd } from "./multiply-add";

/** Bytes of a narrow panel's weights for one input. */
export const NARROW_BYTES: usize = 32;

/** The first `count` of eight values, and not a byte more. */
@inline
function storeFront(to: usize, low: v128, high: v128, count: i32): void {
  if (count >= 8) { v128.store(to, low); v128.store(to, high, 16); return; }
  if (count >= 4) { v128.store(to, low); to += 16; low = high; count -= 4; }
  if (count > 0) v128.store_lane<f32>(to, low, 0);
  if (count > 1) v128.store_lane<f32>(to, low, 1, 4);
  if (count > 2) v128.store_lane<f32>(to, low, 2, 8);
}

/**
 * out (count, columns) = start (columns, padded) + rows (count, inputs) times `weights` (panels, inputs, 8); rows and outputs lie
 * `rowStride` and `outStride` bytes apart.
 */
export function multiplyNarrow(
  columns: i32, weights: usize, inputs: i32, start: usize,
  rows: usize, rowStride: usize, out: usize, outStride: usize, count: i32,
): void {
  const bytes = <usize>inputs << 2, fours = count & ~3;
  for (; columns > 0; columns -= 8, weights += <usize>inputs * NARROW_BYTES, start += NARROW_BYTES, out += NARROW_BYTES) {
    let one = rows, to = out;
    for (let n = 0; n < fours; n += 4) {
      let two = one + rowStride, three = two + rowStride, four = three + rowStride;
      const next = four + rowStride, end = one + bytes;
      let a = v128.load(start), b = v128.load(start, 16), c = a, d = b, e = a, f = b, g = a, h = b;
      for (let at = weights; one < end; one += 4, two += 4, three += 4, four += 4, at += NARROW_BYTES) {
        const low = v128.load(at), high = v128.load(at, 16);
        const u = v128.load32_splat(one), v = v128.load32_splat(two), w = v128.load32_splat(three), x = v128.load32_splat(four);
        a = multiplyAdd(low, u, a); b = multiplyAdd(high, u, b); c = multiplyAdd(low, v, c); d = multiplyAdd(high, v, d);
        e = multiplyAdd(low, w, e); f = multiplyAdd(high, w, f); g = multiplyAdd(low, x, g); h = multiplyAdd(high, x, h);
      }
      storeFront(to, a, b, columns); to += outStride;
      storeFront(to, c, d, columns); to += outStride;
      storeFront(to, e, f, columns); to += outStride;
      storeFront(to, g, h, columns); to += outStride;
      one = next;
    }
    for (let n = fours; n < count; n++, one += rowStride, to += outStride) {
      let a = v128.load(start), b = v128.load(start, 16);
      for (let at = weights, value = one, end = one + bytes; value < end; value += 4, at += NARROW_BYTES) {
        const u = v128.load32_splat(value);
        a = multiplyAdd(v128.load(at), u, a); b = multiplyAdd(v128.load(at, 16), u, b);
      }
      storeFront(to, a, b, columns);
    }
  }
}
