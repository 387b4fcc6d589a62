// What tests and benchmarks ask of a build: exponentials over arrays, whether it rounds a multiply-add once, and how fast it
// multiplies at best.
import { exp4 } from "./exponential";
import { multiplyAdd } from "./multiply-add";

/** out (quads, 4) = e^from (quads, 4); `out` may be `from`. */
export function expAll(from: usize, out: usize, quads: i32): void {
  for (const end = from + (<usize>quads << 4); from < end; from += 16, out += 16) v128.store(out, exp4(v128.load(from)));
}

/**
 * Whether a multiply-add is rounded once here: (1 + e)(1 - e) - 1 is -e^2 then, and 0 for e = 2^-13 where the product is rounded first.
 * The factor is an argument so that no compiler works the answer out ahead.
 */
export function roundsOnce(e: f32): bool {
  const one = f32x4.splat(1), factor = f32x4.splat(e);
  return f32x4.extract_lane(multiplyAdd(f32x4.add(one, factor), f32x4.sub(one, factor), f32x4.splat(-1)), 0) != 0;
}

/** 12 chains of `rounds` multiply-adds from registers, 96 operations a round: the fastest that a kernel can be. */
export function multiplyAddRounds(rounds: i32, a: f32, b: f32): f32 {
  const x = f32x4.splat(a), y = f32x4.splat(b);
  let s0 = f32x4.splat(0), s1 = f32x4.splat(1), s2 = f32x4.splat(2), s3 = f32x4.splat(3);
  let s4 = f32x4.splat(4), s5 = f32x4.splat(5), s6 = f32x4.splat(6), s7 = f32x4.splat(7);
  let s8 = f32x4.splat(8), s9 = f32x4.splat(9), s10 = f32x4.splat(10), s11 = f32x4.splat(11);
  for (let round = 0; round < rounds; round++) {
    s0 = multiplyAdd(x, y, s0); s1 = multiplyAdd(x, y, s1); s2 = multiplyAdd(x, y, s2); s3 = multiplyAdd(x, y, s3);
    s4 = multiplyAdd(x, y, s4); s5 = multiplyAdd(x, y, s5); s6 = multiplyAdd(x, y, s6); s7 = multiplyAdd(x, y, s7);
    s8 = multiplyAdd(x, y, s8); s9 = multiplyAdd(x, y, s9); s10 = multiplyAdd(x, y, s10); s11 = multiplyAdd(x, y, s11);
  }
  const low = f32x4.add(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), f32x4.add(s4, s5));
  const high = f32x4.add(f32x4.add(f32x4.add(s6, s7), f32x4.add(s8, s9)), f32x4.add(s10, s11));
  return f32x4.extract_lane(f32x4.add(low, high), 0);
}
