// A box with one group of two features on a small random model, and what tests say to it.
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { Box, text } from "./box.ts";
import type { BoxOptions, Message } from "./box.ts";
import { randomModel } from "./random-model.ts";

export const model = randomModel({ features: 2, hidden: [8], seed: 3 });
export const models = { m: model };
export const group = { name: "g", topic: "s/{device}/r", codec: "json", model: "m" };

export async function box(options: Partial<BoxOptions> = {}, more: Readonly<Record<string, unknown>> = {}): Promise<Box> {
  return new Box({ models, groups: [{ ...group, ...more }], ...options }).start();
}

export function reading(
  device: string,
  sequence: number,
  values: Readonly<Record<string, unknown>> = {},
  boot = 1,
  nonce = 9,
): Message {
  const payload = JSON.stringify({
    boot,
    nonce,
    sequence,
    feature0: 101_320 + sequence,
    feature1: Math.sin(sequence),
    ...values,
  });
  return { topic: `s/${device}/r`, payload };
}

/** What the model gives for rows of features from the initial state, stepped alone. */
export function offline(rows: readonly (readonly number[])[]): number[] {
  const engine = new NativeEngine(model);
  const slots = Int32Array.of(engine.allocate());
  return rows.map((row) => {
    const y = new Float32Array(1);
    engine.step({ slots, count: 1, steps: 1, x: Float32Array.from(row), y });
    return y[0]!;
  });
}

export function outputsOf(one: Box): number[] {
  return predictions(one).flatMap(({ outputs }) => outputs["output0"]!.map(Math.fround));
}

/** A prediction as it is published in JSON. */
export interface Prediction {
  readonly id: string;
  readonly stream: string;
  readonly sequence: number;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
}

/** All that have been published so far, in order. */
export function predictions(one: Box): Prediction[] {
  one.publishAll();
  return one.published
    .filter(({ topic }) => topic.includes("/prediction/"))
    .map(({ payload }) => JSON.parse(text(payload)) as Prediction);
}

/** Lets what is under way without a timer go on. */
export async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}
