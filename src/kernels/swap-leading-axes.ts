// Between (N, T, ...) as callers see sequences and (T, N, ...) as layers step them.
import type { FloatArray } from "./tensor.ts";

/** `to` `(B, A, width)` = `from` `(A, B, width)`, which starts at `fromAt`, with its first two axes exchanged. */
export function swapLeadingAxes<F extends FloatArray>(from: F, fromAt: number, to: F, A: number, B: number, width: number): void {
  if ((A === 1 || B === 1) && fromAt === 0 && from.length === to.length) {
    to.set(from);
    return;
  }
  for (let a = 0; a < A; a++) {
    for (let b = 0; b < B; b++) {
      const source = fromAt + (a * B + b) * width;
      const target = (b * A + a) * width;
      for (let i = 0; i < width; i++) to[target + i] = from[source + i]!;
    }
  }
}
