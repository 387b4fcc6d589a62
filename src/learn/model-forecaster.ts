// A model as a forecaster: stepped by the native engine one reading at a time, from a blank state at the start of each walk, as a runtime
// steps a stream that is new to it. On the scalar kernel, which every machine has: a card's figures, and the version of a file that holds
// them, are the same wherever the command is run.
import { NativeEngine } from "../engine/native-engine.ts";
import type { Slot } from "../engine/engine.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import type { Model } from "../model/model.ts";
import type { Forecaster, Walk } from "./forecaster.ts";

export class ModelForecaster implements Forecaster {
  readonly name: string;
  readonly deviations?: Float64Array;
  readonly #engine: NativeEngine;
  readonly #blank: Slot;
  readonly #slot: Slot;
  readonly #slots: Int32Array;
  readonly #x: Float32Array;
  readonly #y: Float32Array;
  readonly #forecasts: number;
  #walk: Walk | undefined;

  /** Forecasts are the outputs that are values: of a Gaussian head the means. */
  constructor(model: Model, name = "model") {
    this.name = name;
    this.#forecasts = forecastOutputs(model.spec).length;
    if (model.spec.head.kind === "gaussian") this.deviations = new Float64Array(this.#forecasts);
    this.#engine = new NativeEngine(model, { kernel: "scalar" });
    this.#blank = this.#engine.allocate();
    this.#slot = this.#engine.allocate();
    this.#slots = Int32Array.of(this.#slot);
    this.#x = new Float32Array(model.spec.features.length);
    this.#y = new Float32Array(model.spec.outputs.length);
  }

  begin(walk: Walk): void {
    this.#walk = walk;
    this.#engine.copy(this.#blank, this.#slot);
  }

  forecast(row: number, into: Float64Array): void {
    const D = this.#x.length;
    this.#x.set(this.#walk!.series.inputs.subarray(row * D, (row + 1) * D));
    this.#engine.step({ slots: this.#slots, count: 1, steps: 1, x: this.#x, y: this.#y });
    for (let k = 0; k < this.#forecasts; k++) into[k] = this.#y[k]!;
    // Of a Gaussian head they come behind the means, in the same order.
    this.deviations?.set(this.#y.subarray(this.#forecasts));
  }
}
