// What an optimizer does with all parameters of a network, laid side by side in one row: Adam's step, the length of the gradient, and its
// scaling. Every value is by itself but in the length, which is summed in double precision in one fixed order.
import { flush, MAGNITUDE } from "./flush";
import { allocate, reset } from "./memory";
import { multiplyAdd } from "./multiply-add";

/** The smallest normal number. */
const TINY = memory.data<f32>([1.1754944e-38, 1.1754944e-38, 1.1754944e-38, 1.1754944e-38]);

let params: usize = 0, gradients: usize = 0, first: usize = 0, second: usize = 0, largest: usize = 0, factors: usize = 0;

/** Room for `count` values, padded to quads by the caller, over all that this instance has held before; moments begin as zeros. */
export function openOptimizer(count: i32, moments: i32): void {
  reset();
  const bytes = <usize>count << 2;
  gradients = allocate(bytes);
  factors = allocate(9 << 2);
  params = moments > 0 ? allocate(bytes) : 0;
  first = moments > 0 ? allocate(bytes) : 0;
  second = moments > 1 ? allocate(bytes) : 0;
  largest = moments > 2 ? allocate(bytes) : 0;
}

/** Where the gradients lie, then the params, and the moments: first, second, the largest second so far; last Adam's factors. */
export function optimizerArray(name: i32): usize {
  switch (name) {
    case 0: return gradients;
    case 1: return params;
    case 2: return first;
    case 3: return second;
    case 4: return largest;
    default: return factors;
  }
}

/** Adam's factor `index`, in all lanes. */
@inline
function factor(index: usize): v128 {
  return v128.load32_splat(factors + 4 * index);
}

/**
 * Adam, AMSGrad where `largest` is there, and AdamW (see src/nn/adam.ts): g += coupled p; m = beta1 m + left1 g; v = beta2 v + left2 g^2;
 * p = shrink p - rate m / (sqrt(v) growth + epsilon). The factors are, in order, beta1, left1, beta2, left2, epsilon, coupled, rate,
 * growth and shrink.
 */
export function stepAdam(count: i32): void {
  moveParams(params, gradients, first, second, largest, count);
}

/** The same with the rows' addresses as locals, which a loop keeps in registers, where it loads globals anew at each turn. */
export function moveParams(param: usize, gradient: usize, m: usize, v: usize, most: usize, count: i32): void {
  const b1 = factor(0), l1 = factor(1), b2 = factor(2), l2 = factor(3), e = factor(4);
  const c = factor(5), r = factor(6), scale = factor(7), s = factor(8);
  const magnitude = v128.load(MAGNITUDE), tiny = v128.load(TINY);
  for (const end = param + (<usize>count << 2); param < end; param += 16, gradient += 16, m += 16, v += 16) {
    const p = v128.load(param);
    const g = multiplyAdd(c, p, v128.load(gradient));
    const moment = multiplyAdd(b1, v128.load(m), f32x4.mul(l1, g));
    // Without a gradient it dies out.
    const mean = flush(moment, magnitude, tiny);
    let square = multiplyAdd(b2, v128.load(v), f32x4.mul(f32x4.mul(l2, g), g));
    v128.store(m, mean);
    v128.store(v, square);
    if (most != 0) {
      square = f32x4.max(v128.load(most), square);
      v128.store(most, square);
      most += 16;
    }
    const step = f32x4.div(f32x4.mul(r, mean), multiplyAdd(f32x4.sqrt(square), scale, e));
    v128.store(param, f32x4.sub(f32x4.mul(s, p), step));
  }
}

/** Plus the squares of the two values at `at + offset`. */
@inline
function addSquares(sum: v128, at: usize, offset: usize): v128 {
  const values = f64x2.promote_low_f32x4(v128.load64_zero(at + offset));
  return f64x2.add(sum, f64x2.mul(values, values));
}

/** The sum of the gradients' squares, `count` of them: `count` divides by 4. */
export function sumSquares(count: i32): f64 {
  let a = f64x2.splat(0), b = a, c = a, d = a;
  let at = gradients;
  for (const end = at + (<usize>(count & ~7) << 2); at < end; at += 32) {
    a = addSquares(a, at, 0); b = addSquares(b, at, 8); c = addSquares(c, at, 16); d = addSquares(d, at, 24);
  }
  if (count & 4) { a = addSquares(a, at, 0); b = addSquares(b, at, 8); }
  const all = f64x2.add(f64x2.add(a, b), f64x2.add(c, d));
  return f64x2.extract_lane(all, 0) + f64x2.extract_lane(all, 1);
}

/** Gradients times a factor. */
export function scaleGradients(count: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  for (let at = gradients, end = at + (<usize>count << 2); at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), f));
}
