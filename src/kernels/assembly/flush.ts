// Numbers below the smallest normal one cost a processor a hundred times as long: what dies out is made 0 before it comes to that.

/** All bits but the sign. V8 before Turboshaft makes them anew for every f32x4.abs. */
export const MAGNITUDE = memory.data<i32>([0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff]);

/** a, and 0 in lanes smaller than `tiny`; NaN stays. `magnitude` is what stands at MAGNITUDE, which a loop then loads but once. */
@inline
export function flush(a: v128, magnitude: v128, tiny: v128): v128 {
  return v128.andnot(a, f32x4.lt(v128.and(a, magnitude), tiny));
}
