// What a cell does with its gates' sums: the elementwise end of a step, for one stream, in place over its state. It knows no weights.
// Units go four at a time, a quad; where a cell has several gates, the quads of its gates lie side by side in the sums. The last quad's
// lanes beyond H are computed like the others, stay apart from them, and are never read as anybody's input.
import { sigmoid4, tanh4 } from "./activations";
import { multiplyAdd } from "./multiply-add";

/** h = tanh(sums): ONNX RNN with Tanh. sums (quads, 4), h (quads, 4). */
export function updateTanh(sums: usize, h: usize, quads: i32): void {
  for (const end = h + (<usize>quads << 4); h < end; h += 16, sums += 16) v128.store(h, tanh4(v128.load(sums)));
}

/** h = max(sums, 0), NaN for NaN: ONNX RNN with Relu. */
export function updateRelu(sums: usize, h: usize, quads: i32): void {
  const zero = f32x4.splat(0);
  for (const end = h + (<usize>quads << 4); h < end; h += 16, sums += 16) v128.store(h, f32x4.pmax(v128.load(sums), zero));
}

/** (1 - z) n + z h, as n + z (h - n): one rounding less, and never outside what n and h span. */
@inline
function blend(z: v128, n: v128, h: v128): v128 {
  return multiplyAdd(z, f32x4.sub(h, n), n);
}

/**
 * ONNX GRU with linear_before_reset = 1: n = tanh(inputPart + r statePart), h = (1 - z) n + z h, from the sums of r and z side by side,
 * gates (quads, 2, 4), and those of n's two products, (quads, 4) each.
 */
export function updateGru(gates: usize, inputPart: usize, statePart: usize, h: usize, quads: i32): void {
  for (const end = h + (<usize>quads << 4); h < end; h += 16, gates += 32, inputPart += 16, statePart += 16) {
    const r = sigmoid4(v128.load(gates, 0)), z = sigmoid4(v128.load(gates, 16));
    const n = tanh4(multiplyAdd(r, v128.load(statePart), v128.load(inputPart)));
    v128.store(h, blend(z, n, v128.load(h)));
  }
}

/** ONNX GRU with linear_before_reset = 0, first half: out = r h, what n's product takes in h's place. `out` need not be aligned. */
export function resetGru(gates: usize, h: usize, out: usize, quads: i32): void {
  for (const end = h + (<usize>quads << 4); h < end; h += 16, gates += 32, out += 16) {
    v128.store(out, f32x4.mul(sigmoid4(v128.load(gates, 0)), v128.load(h)));
  }
}

/** Second half: h = (1 - z) tanh(sums) + z h, sums (quads, 4). */
export function updateResetGru(gates: usize, sums: usize, h: usize, quads: i32): void {
  for (const end = h + (<usize>quads << 4); h < end; h += 16, gates += 32, sums += 16) {
    v128.store(h, blend(sigmoid4(v128.load(gates, 16)), tanh4(v128.load(sums)), v128.load(h)));
  }
}

/** ONNX LSTM: c = f c + i g, h = o tanh(c), from the sums of i, f, g and o side by side, (quads, 4, 4). */
export function updateLstm(sums: usize, h: usize, c: usize, quads: i32): void {
  for (const end = h + (<usize>quads << 4); h < end; h += 16, c += 16, sums += 64) {
    const i = sigmoid4(v128.load(sums, 0)), f = sigmoid4(v128.load(sums, 16));
    const g = tanh4(v128.load(sums, 32)), o = sigmoid4(v128.load(sums, 48));
    const cell = multiplyAdd(f, v128.load(c), f32x4.mul(i, g));
    v128.store(c, cell);
    v128.store(h, f32x4.mul(o, tanh4(cell)));
  }
}
