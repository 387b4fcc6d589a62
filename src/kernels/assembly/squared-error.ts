// The mean of squared differences with its gradient, value by value in double precision as the plain loop of src/nn/mean-squared-error.ts
// takes it, and to the same bits in both builds: nothing here is a multiply-add. One instance holds the room of one shape.
import { allocate, reset } from "./memory";

let ys: usize = 0, targets: usize = 0, dys: usize = 0, squares: usize = 0;
let count = 0;

/** Room for `values` values of each, over all that this instance has held before. Targets beyond them, to the end of a quad, are missing. */
export function openSquaredError(values: i32): void {
  reset();
  count = values;
  const bytes = <usize>((values + 3) & ~3) << 2;
  ys = allocate(bytes); targets = allocate(bytes); dys = allocate(bytes);
  squares = allocate(8);
  for (let at: usize = <usize>values << 2; at < bytes; at += 4) store<f32>(targets + at, NaN);
}

/** Where the outputs lie, their targets, the gradient by the outputs, and the sum of squares, one number in double precision. */
export function squaredErrorArray(name: i32): usize {
  switch (name) {
    case 0: return ys;
    case 1: return targets;
    case 2: return dys;
    default: return squares;
  }
}

/** How many targets are no NaN. */
export function countKnown(): i32 {
  let known = i32x4.splat(0);
  for (let at = targets, end = at + (<usize>count << 2); at < end; at += 16) {
    const quad = v128.load(at);
    known = i32x4.sub(known, f32x4.eq(quad, quad));
  }
  const pairs = i32x4.add(known, v128.shuffle<i32>(known, known, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}

/** y - target of two, 0 where the target is missing. */
@inline
function difference(y: v128, target: v128): v128 {
  const t = f64x2.promote_low_f32x4(target);
  return v128.and(f64x2.sub(f64x2.promote_low_f32x4(y), t), f64x2.eq(t, t));
}

/** dys = 2 (y - target) / known, and the squares summed in order, one after another. */
export function sumSquaredErrors(known: i32): void {
  const divisor = f64x2.splat(<f64>known);
  let sum: f64 = 0;
  for (let at: usize = 0, end = <usize>count << 2; at < end; at += 16) {
    const y = v128.load(ys + at), t = v128.load(targets + at);
    const low = difference(y, t), high = difference(v128.shuffle<f32>(y, y, 2, 3, 2, 3), v128.shuffle<f32>(t, t, 2, 3, 2, 3));
    const lowSquares = f64x2.mul(low, low), highSquares = f64x2.mul(high, high);
    sum += f64x2.extract_lane(lowSquares, 0);
    sum += f64x2.extract_lane(lowSquares, 1);
    sum += f64x2.extract_lane(highSquares, 0);
    sum += f64x2.extract_lane(highSquares, 1);
    const first = f32x4.demote_f64x2_zero(f64x2.div(f64x2.add(low, low), divisor));
    const second = f32x4.demote_f64x2_zero(f64x2.div(f64x2.add(high, high), divisor));
    v128.store(dys + at, v128.shuffle<f32>(first, second, 0, 1, 4, 5));
  }
  store<f64>(squares, sum);
}
