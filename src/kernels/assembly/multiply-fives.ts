// The product of multiply-rows.ts for many rows of many inputs: five rows side by side, and half a panel, eight columns. Ten chains are more
// than two multiply-add units of latency four need, so that a value which comes late from the second-level cache delays one chain and idles
// none of the units; eight lose what they have lost. Ten sums, two weights and the three values of half a step are fifteen registers: the
// breaks, never taken since a half panel's address divides by 32, end the compiler's basic blocks between the halves.
import { multiplyAdd } from "./multiply-add";
import { PANEL_BYTES } from "./multiply-rows";

/**
 * out (panels, 16) = start (panels, 16) + row (inputs) times `weights`, for `fives` times five rows; strides as in `multiplyRows`, and so is
 * the order of every sum.
 */
export function multiplyFives(
  panels: i32, weights: usize, inputs: i32, start: usize, startStride: i32,
  rows: usize, rowStride: i32, out: usize, outStride: i32, fives: i32,
): void {
  const bytes = <usize>inputs << 2, wholeBytes = <usize>(inputs & ~1) << 2;
  for (let halves = panels << 1; halves > 0; halves--) {
    let one = rows, from = start, to = out;
    for (let n = 0; n < fives; n++) {
      let two = one + rowStride, three = two + rowStride, four = three + rowStride, five = four + rowStride;
      const next = five + rowStride, wholeEnd = one + wholeBytes;
      let a = v128.load(from), b = v128.load(from, 16); from += startStride;
      let c = v128.load(from), d = v128.load(from, 16); from += startStride;
      let e = v128.load(from), f = v128.load(from, 16); from += startStride;
      let g = v128.load(from), h = v128.load(from, 16); from += startStride;
      let i = v128.load(from), j = v128.load(from, 16); from += startStride;
      let at = weights;
      for (; one < wholeEnd; at += 128, one += 8, two += 8, three += 8, four += 8, five += 8) {
        let low = v128.load(at), high = v128.load(at, 16);
        let u = v128.load32_splat(one), v = v128.load32_splat(two), w = v128.load32_splat(three);
        a = multiplyAdd(low, u, a); b = multiplyAdd(high, u, b); c = multiplyAdd(low, v, c); d = multiplyAdd(high, v, d);
        e = multiplyAdd(low, w, e); f = multiplyAdd(high, w, f); if (at & 1) break;
        u = v128.load32_splat(four); v = v128.load32_splat(five);
        g = multiplyAdd(low, u, g); h = multiplyAdd(high, u, h); i = multiplyAdd(low, v, i); j = multiplyAdd(high, v, j); if (at & 2) break;
        low = v128.load(at, 64); high = v128.load(at, 80);
        u = v128.load32_splat(one, 4); v = v128.load32_splat(two, 4); w = v128.load32_splat(three, 4);
        a = multiplyAdd(low, u, a); b = multiplyAdd(high, u, b); c = multiplyAdd(low, v, c); d = multiplyAdd(high, v, d);
        e = multiplyAdd(low, w, e); f = multiplyAdd(high, w, f); if (at & 3) break;
        u = v128.load32_splat(four, 4); v = v128.load32_splat(five, 4);
        g = multiplyAdd(low, u, g); h = multiplyAdd(high, u, h); i = multiplyAdd(low, v, i); j = multiplyAdd(high, v, j);
      }
      if (wholeBytes < bytes) {
        const low = v128.load(at), high = v128.load(at, 16);
        let v = v128.load32_splat(one); a = multiplyAdd(low, v, a); b = multiplyAdd(high, v, b);
        v = v128.load32_splat(two); c = multiplyAdd(low, v, c); d = multiplyAdd(high, v, d);
        v = v128.load32_splat(three); e = multiplyAdd(low, v, e); f = multiplyAdd(high, v, f);
        v = v128.load32_splat(four); g = multiplyAdd(low, v, g); h = multiplyAdd(high, v, h);
        v = v128.load32_splat(five); i = multiplyAdd(low, v, i); j = multiplyAdd(high, v, j);
      }
      v128.store(to, a); v128.store(to, b, 16); to += outStride;
      v128.store(to, c); v128.store(to, d, 16); to += outStride;
      v128.store(to, e); v128.store(to, f, 16); to += outStride;
      v128.store(to, g); v128.store(to, h, 16); to += outStride;
      v128.store(to, i); v128.store(to, j, 16); to += outStride;
      one = next;
    }
    // The second half of a panel lies 32 bytes on, and the next panel begins after the last input of this.
    weights += halves & 1 ? <usize>inputs * PANEL_BYTES - 32 : 32;
    start += 32;
    out += 32;
  }
}
