// A tanh RNN of up to 16 units steps in one piece: its sums, one panel, stay in registers from the bias to the new state. In so small a step
// it is copying the state, and storing sums and loading them again, that counts. The order of the sums is that of multiply-rows.ts.
import { tanh4 } from "./activations";
import { plus } from "./multiply-add";

/** h = tanh(start + x Wx + h Wh), in place: x (D), h (H) in `quads` quads, `start` and each row of `weights` one panel's 16. */
export function stepTanhPanel(weights: usize, start: usize, x: usize, D: i32, h: usize, H: i32, quads: i32): void {
  let a = v128.load(start, 0), b = v128.load(start, 16), c = v128.load(start, 32), d = v128.load(start, 48);
  for (const end = x + (<usize>D << 2); x < end; x += 4, weights += 64) {
    const v = v128.load32_splat(x);
    a = plus(a, v, weights, 0); b = plus(b, v, weights, 16); c = plus(c, v, weights, 32); d = plus(d, v, weights, 48);
  }
  for (let at = h, end = h + (<usize>H << 2); at < end; at += 4, weights += 64) {
    const v = v128.load32_splat(at);
    a = plus(a, v, weights, 0); b = plus(b, v, weights, 16); c = plus(c, v, weights, 32); d = plus(d, v, weights, 48);
  }
  // All four before the first is stored: that they are independent is then plain to see.
  a = tanh4(a); b = tanh4(b); c = tanh4(c); d = tanh4(d);
  v128.store(h, a);
  if (quads > 1) v128.store(h, b, 16);
  if (quads > 2) v128.store(h, c, 32);
  if (quads > 3) v128.store(h, d, 48);
}
