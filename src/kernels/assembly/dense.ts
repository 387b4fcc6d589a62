// The two ends of a step, for one stream: from the sensors' units to standard deviations, and from the last layer's state through the
// head back to the targets' units. Scaling is what ONNX's Sub, Div, Mul and Add do, each rounded by itself in both builds.
import { exp4 } from "./exponential";
import { multiplyAdd } from "./multiply-add";

/** out = (x - mean) / scale for `quads` quads, from a table of mean and scale quads in turn. Neither address need be aligned. */
export function standardiseRow(x: usize, table: usize, out: usize, quads: i32): void {
  for (const end = x + (<usize>quads << 4); x < end; x += 16, out += 16, table += 32) {
    v128.store(out, f32x4.div(f32x4.sub(v128.load(x), v128.load(table, 0)), v128.load(table, 16)));
  }
}

/** The lanes of four vectors, each added up as (0 + 2) + (1 + 3). All six shuffles are single instructions on x86. */
@inline
function sumLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** The first `count` lanes, and not a byte more: the next row of outputs may be there already. */
@inline
function storeLanes(y: usize, value: v128, count: i32): void {
  if (count >= 4) { v128.store(y, value); return; }
  v128.store_lane<f32>(y, value, 0);
  if (count > 1) v128.store_lane<f32>(y, value, 1, 4);
  if (count > 2) v128.store_lane<f32>(y, value, 2, 8);
}

/**
 * y (outputs) = (h W + b) scale + mean, each output's W as `quads` quads beside those of three others, (O / 4, quads, 4, 4), so that a head
 * of one output is H/4 multiply-adds in a row and not H. The order is fixed: lane l of an output takes h[l], h[l + 4], ..., then the
 * lanes are added, then b. `mask` keeps out the last quad's lanes beyond H, which may hold the NaN that an infinite input times a zero
 * weight makes. `table` holds the quads b, scale and mean of four outputs in turn.
 */
export function headRow(h: usize, quads: i32, mask: usize, weights: usize, table: usize, y: usize, outputs: i32): void {
  const last = h + (<usize>(quads - 1) << 4);
  for (; outputs > 0; outputs -= 4, weights += 64, table += 48, y += 16) {
    let a = f32x4.splat(0), b = a, c = a, d = a;
    for (let at = h; at < last; at += 16, weights += 64) {
      const v = v128.load(at);
      a = multiplyAdd(v128.load(weights, 0), v, a);
      b = multiplyAdd(v128.load(weights, 16), v, b);
      c = multiplyAdd(v128.load(weights, 32), v, c);
      d = multiplyAdd(v128.load(weights, 48), v, d);
    }
    const v = v128.and(v128.load(last), v128.load(mask));
    a = multiplyAdd(v128.load(weights, 0), v, a);
    b = multiplyAdd(v128.load(weights, 16), v, b);
    c = multiplyAdd(v128.load(weights, 32), v, c);
    d = multiplyAdd(v128.load(weights, 48), v, d);
    const standard = f32x4.add(sumLanes(a, b, c, d), v128.load(table, 0));
    storeLanes(y, f32x4.add(f32x4.mul(standard, v128.load(table, 16)), v128.load(table, 32)), outputs);
  }
}

/**
 * y = exp(y) scale, in place: from halved log-variances to standard deviations, y (count), `scales` whole quads. What y reads beyond `count`
 * is put back nowhere.
 */
export function deviationRow(y: usize, scales: usize, count: i32): void {
  for (; count > 0; count -= 4, y += 16, scales += 16) {
    storeLanes(y, f32x4.mul(exp4(v128.load(y)), v128.load(scales)), count);
  }
}

/**
 * y (outputs) = softmax(logits), the greatest taken off first; `logits` are whole quads, filled up with -Infinity, and are overwritten.
 * Lane l of the sum takes logits l, l + 4, ..., then the lanes are added.
 */
export function softmaxRow(logits: usize, y: usize, outputs: i32): void {
  const end = logits + (<usize>((outputs + 3) >> 2) << 4);
  let most = v128.load(logits);
  for (let at = logits + 16; at < end; at += 16) most = f32x4.pmax(most, v128.load(at));
  most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
  most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
  let sum = f32x4.splat(0);
  for (let at = logits; at < end; at += 16) {
    const value = exp4(f32x4.sub(v128.load(at), most));
    v128.store(at, value);
    sum = f32x4.add(sum, value);
  }
  sum = f32x4.add(sum, v128.shuffle<f32>(sum, sum, 2, 3, 0, 1));
  sum = f32x4.add(sum, v128.shuffle<f32>(sum, sum, 1, 0, 3, 2));
  for (let at = logits; at < end; at += 16, y += 16, outputs -= 4) storeLanes(y, f32x4.div(v128.load(at), sum), outputs);
}

/** y[o] += x[features[o]]: what a residual head's outputs are changes of. */
export function addResidual(y: usize, x: usize, features: usize, outputs: i32): void {
  for (const end = y + (<usize>outputs << 2); y < end; y += 4, features += 4) {
    store<f32>(y, load<f32>(y) + load<f32>(x + (load<u32>(features) << 2)));
  }
}
