// Activations over rows of quads, two at a time, which load each constant once for both.
import { sigmoid4, tanh4 } from "./activations";

/** out (quads, 4) = tanh(from (quads, 4)); `out` may be `from`. */
export function tanhAll(from: usize, out: usize, quads: i32): void {
  for (; quads > 1; quads -= 2, from += 32, out += 32) {
    const a = tanh4(v128.load(from)), b = tanh4(v128.load(from, 16));
    v128.store(out, a); v128.store(out, b, 16);
  }
  if (quads > 0) v128.store(out, tanh4(v128.load(from)));
}

/** out (quads, 4) = sigmoid(from (quads, 4)); `out` may be `from`. */
export function sigmoidAll(from: usize, out: usize, quads: i32): void {
  for (; quads > 1; quads -= 2, from += 32, out += 32) {
    const a = sigmoid4(v128.load(from)), b = sigmoid4(v128.load(from, 16));
    v128.store(out, a); v128.store(out, b, 16);
  }
  if (quads > 0) v128.store(out, sigmoid4(v128.load(from)));
}
