// Which engine `auto` means, given what a trial found and how the model is stepped. A rule of its own, so that it can be read and tested
// without a clock.
import type { EngineTrial } from "./engine-trial.ts";

/** The engine in force is left only for one that saves this part of its time: measurements are noisy, and a change is work. */
const GAIN_MIN = 0.2;

/** Stream-steps seen by batch size: at `2 ** i` streams or up to twice as many from index `i` on. */
export type BatchSizes = ArrayLike<number>;

/** The batch sizes worth a trial: the powers of two that most stream-steps came in, smallest first, `count` at most. */
export function commonBatches(seen: BatchSizes, count: number): number[] {
  return Array.from(seen, (steps, index) => ({ steps, batch: 2 ** index }))
    .filter(({ steps }) => steps > 0)
    .toSorted((a, b) => b.steps - a.steps)
    .slice(0, count)
    .map(({ batch }) => batch)
    .toSorted((a, b) => a - b);
}

/** Mean nanoseconds a stream-step of each engine, weighted by the stream-steps seen at each batch size. */
export function meanCost(trial: EngineTrial, seen: BatchSizes): { readonly native: number; readonly onnx: number } {
  let [native, onnx, steps] = [0, 0, 0];
  for (const figure of trial.figures) {
    const weight = seen[Math.log2(figure.batch)] ?? 0;
    native += weight * figure.native;
    onnx += weight * figure.onnx;
    steps += weight;
  }
  return { native: native / steps, onnx: onnx / steps };
}

/** The engine to use: the present one unless the other saves more than a fifth of its time. */
export function preferredEngine(
  present: "native" | "onnx",
  cost: { readonly native: number; readonly onnx: number },
): "native" | "onnx" {
  const other = present === "native" ? "onnx" : "native";
  return cost[other] < (1 - GAIN_MIN) * cost[present] ? other : present;
}
