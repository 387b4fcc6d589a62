// The engine on onnxruntime, for what the native engine does not take and as the second opinion that parity is held against. The package
// is loaded when the first such engine is opened and never before: a runtime that steps natively does not pay for it.
import assert from "node:assert/strict";
import type * as onnxruntime from "onnxruntime-node";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { countOf } from "../kernels/tensor.ts";
import type { Model } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { checkBatch } from "./check-batch.ts";
import type { Engine, Slot, StateTensors, StepBatch } from "./engine.ts";
import { FloatRows } from "./float-rows.ts";
import { StateArena } from "./state-arena.ts";

type Onnxruntime = typeof onnxruntime;

/** One thread that never spins: a gateway has other work, and at these sizes threads only add tails. */
const SESSION_OPTIONS: onnxruntime.InferenceSession.SessionOptions = {
  executionProviders: ["cpu"],
  executionMode: "sequential",
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
};

const REMEDY =
  process.arch === "arm"
    ? "there is none for 32-bit ARM, where models run natively: set engine: native"
    : "install it with: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node";

/**
 * Its `step` returns a promise: onnxruntime runs in a later turn. Until it settles the batch's buffers are lent, its slots must not be
 * touched and no other step may start, which assertions enforce; other slots may be allocated, read and written meanwhile.
 */
export class OnnxEngine implements Engine {
  readonly name = "onnx";
  readonly kernel: string;
  /** The order in which onnxruntime sums depends on the batch's size. */
  readonly deterministic = false;
  readonly spec: ModelSpec;
  readonly version: string;
  readonly #Tensor: Onnxruntime["Tensor"];
  readonly #session: onnxruntime.InferenceSession;
  readonly #rows: FloatRows;
  readonly #arena: StateArena;
  /** The batch's states, `(1, N, H)` a tensor, in the spec's order; they grow with the largest batch seen. */
  #gathered: Float32Array[];
  #stepping = false;
  #closed = false;

  constructor(model: Model, { Tensor, env }: Onnxruntime, session: onnxruntime.InferenceSession) {
    this.spec = model.spec;
    this.version = model.version;
    this.kernel = `onnxruntime-${env.versions.node ?? env.versions.common}`;
    this.#Tensor = Tensor;
    this.#session = session;
    this.#rows = new FloatRows(model.spec.states.map(({ shape }) => countOf(shape)));
    this.#arena = new StateArena(model.spec.states, this.#rows);
    this.#gathered = this.#rows.columns.map(() => new Float32Array());
  }

  allocate(): Slot {
    assert(!this.#closed, "the engine is closed");
    return this.#arena.allocate();
  }

  release(slot: Slot): void {
    this.#arena.release(slot);
  }

  read(slot: Slot, into: StateTensors): void {
    this.#arena.read(slot, into);
  }

  write(slot: Slot, from: StateTensors): void {
    this.#arena.write(slot, from);
  }

  copy(from: Slot, to: Slot): void {
    this.#arena.copy(from, to);
  }

  /** Rejects with `unavailable` where onnxruntime fails; no state has changed then, and y holds nothing new. */
  async step(batch: StepBatch): Promise<void> {
    assert(!this.#closed, "the engine is closed");
    assert(!this.#stepping, "a step is under way");
    checkBatch(this.spec, batch);
    const { slots, count, y } = batch;
    this.#arena.beginStep(slots, count);
    this.#stepping = true;
    try {
      const results = await this.#session.run(this.#feeds(batch));
      const outputs = this.#floats(results, "y", batch.steps * count * this.spec.outputs.length);
      this.#scatter(results, slots, count);
      y.set(outputs);
    } catch (thrown) {
      throw new HiddenstateError("unavailable", `cannot step a batch: onnxruntime failed: ${reasonOf(thrown)}`, thrown);
    } finally {
      this.#stepping = false;
      this.#arena.endStep(slots, count);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    assert(!this.#stepping, "a step is under way");
    this.#closed = true;
    await this.#session.release();
  }

  #feeds({ slots, count, steps, x }: StepBatch): onnxruntime.InferenceSession.FeedsType {
    const { columns, values: rows, width } = this.#rows;
    const D = this.spec.features.length;
    const feeds: Record<string, onnxruntime.Tensor> = {
      x: new this.#Tensor("float32", x.subarray(0, steps * count * D), [steps, count, D]),
    };
    columns.forEach(({ at, length: H }, index) => {
      if (this.#gathered[index]!.length < count * H) this.#gathered[index] = new Float32Array(count * H);
      const states = this.#gathered[index]!;
      for (let n = 0; n < count; n++) {
        const from = slots[n]! * width + at;
        for (let i = 0; i < H; i++) states[n * H + i] = rows[from + i]!;
      }
      feeds[this.spec.states[index]!.input] = new this.#Tensor("float32", states.subarray(0, count * H), [1, count, H]);
    });
    return feeds;
  }

  #scatter(results: onnxruntime.InferenceSession.ReturnType, slots: Int32Array, count: number): void {
    const { columns, values: rows, width } = this.#rows;
    // All of them are looked at before the first is written.
    const states = columns.map(({ length }, index) => this.#floats(results, this.spec.states[index]!.output, count * length));
    columns.forEach(({ at, length: H }, index) => {
      const from = states[index]!;
      for (let n = 0; n < count; n++) {
        const to = slots[n]! * width + at;
        for (let i = 0; i < H; i++) rows[to + i] = from[n * H + i]!;
      }
    });
  }

  #floats(results: onnxruntime.InferenceSession.ReturnType, name: string, length: number): Float32Array {
    const values = results[name]?.data;
    assert(values instanceof Float32Array && values.length === length, `onnxruntime gave no ${name} of ${length} values`);
    return values;
  }
}

/**
 * An engine on onnxruntime. `load` imports the package; tests give their own. Throws `missing_package` where it cannot be loaded, and
 * `bad_model` where it refuses the model.
 */
export async function openOnnxEngine(
  model: Model,
  load: () => Promise<Onnxruntime> = () => import("onnxruntime-node"),
): Promise<OnnxEngine> {
  let runtime: Onnxruntime;
  try {
    runtime = await load();
  } catch (thrown) {
    throw new HiddenstateError(
      "missing_package",
      `cannot open the onnx engine: onnxruntime-node does not load (${reasonOf(thrown).split("\n")[0]}); ${REMEDY}`,
      thrown,
    );
  }
  try {
    return new OnnxEngine(model, runtime, await runtime.InferenceSession.create(model.bytes, SESSION_OPTIONS));
  } catch (thrown) {
    throw new HiddenstateError(
      "bad_model",
      `cannot use model ${JSON.stringify(model.spec.name)}: onnxruntime refuses it: ${reasonOf(thrown)}`,
      thrown,
    );
  }
}
