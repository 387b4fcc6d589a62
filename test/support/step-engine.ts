// Series through an engine of any kind, as tests of engines step them.
import { createRandom } from "../../src/base/random.ts";
import type { Engine, Slot } from "../../src/engine/engine.ts";
import { parityInputs } from "../../src/engine/parity-inputs.ts";
import type { Model } from "../../src/model/model.ts";

/** Inputs such as the model was trained on, `(T, N, D)`. */
export function inputs(model: Model, steps: number, count: number, seed = 1): Float32Array {
  return parityInputs("usual", model.weights, createRandom(seed), steps, count);
}

/** Steps `slots` over x `(T, N, D)`; y `(T, N, O)`. */
export async function run(engine: Engine, slots: readonly Slot[], x: Float32Array, steps: number): Promise<Float32Array> {
  const count = slots.length;
  const y = new Float32Array(steps * count * engine.spec.outputs.length);
  await engine.step({ slots: Int32Array.from(slots), count, steps, x, y });
  return y;
}
