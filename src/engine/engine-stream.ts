// One stream on an engine, for whoever steps by hand: a reading in, the outputs out, and the hidden state to take out, keep and put back.
// It owns one row of the engine's arena and nothing else; a runtime steps many streams in a batch instead.
import { HiddenstateError } from "../base/errors.ts";
import type { ModelSpec } from "../model/spec.ts";
import { createStateTensors } from "./engine.ts";
import type { Engine, Slot, StateTensors } from "./engine.ts";
import { parseOutsideState } from "./outside-state.ts";

/** One stream on an engine: a reading in, the outputs out, and its hidden state to take out, keep and put back. */
export class EngineStream {
  readonly #engine: Engine;
  readonly #slots: Int32Array;
  readonly #x: Float32Array;
  readonly #y: Float32Array;
  #isStepping = false;
  #isClosed = false;

  /** A stream that begins in the model's initial state. An engine may have any number of them; close them before the engine. */
  constructor(engine: Engine) {
    const { features, outputs } = engine.spec;
    this.#engine = engine;
    this.#slots = Int32Array.of(engine.allocate());
    this.#x = new Float32Array(features.length);
    this.#y = new Float32Array(outputs.length);
  }

  /** Features, outputs and states of the model that it is stepped by. */
  get spec(): ModelSpec {
    return this.#engine.spec;
  }

  /**
   * Steps one reading: D features in the sensors' units, in the order of `spec.features` -> O outputs in the targets' units, in that of
   * `spec.outputs`: the stream's own array, overwritten by the next step. Throws `bad_argument` where a feature is absent, too many or no
   * finite number, and `unavailable` while another step of this stream is under way or once it is closed; no state has changed then.
   */
  async step(reading: ArrayLike<number>): Promise<Float32Array> {
    const slots = this.#idle("step");
    const { features } = this.spec;
    if (reading.length !== features.length) {
      const names = features.map(({ name }) => name).join(", ");
      const reason = `it has ${reading.length} values, and the model reads ${features.length}: ${names}`;
      throw new HiddenstateError("bad_argument", `cannot step a reading: ${reason}`);
    }
    for (let d = 0; d < features.length; d++) {
      if (!Number.isFinite(Math.fround(reading[d]!)))
        throw new HiddenstateError("bad_argument", `cannot step a reading: ${features[d]!.name} is ${String(reading[d])}`);
      this.#x[d] = reading[d]!;
    }
    this.#isStepping = true;
    try {
      await this.#engine.step({ slots, count: 1, steps: 1, x: this.#x, y: this.#y });
    } finally {
      this.#isStepping = false;
    }
    return this.#y;
  }

  /** A copy of the hidden state: an array by the name of each of `spec.states`. Throws `unavailable` as `step`. */
  getState(): StateTensors {
    const slots = this.#idle("read");
    const state = createStateTensors(this.spec.states);
    this.#engine.read(slots[0]!, state);
    return state;
  }

  /**
   * Puts a hidden state in place, from `getState` or as plain arrays of numbers, for instance out of JSON. Throws `bad_state` unless names
   * and lengths are the model's, every number is finite and none is beyond what the cell can reach; `unavailable` as `step`.
   */
  setState(state: Readonly<Record<string, Float32Array | readonly number[]>>): void {
    const slots = this.#idle("set");
    this.#engine.write(slots[0]!, parseOutsideState(state, this.spec.states));
  }

  /** Puts the hidden state back to the model's initial one. Throws `unavailable` as `step`. */
  resetState(): void {
    const slots = this.#idle("reset");
    const fresh: Slot = this.#engine.allocate();
    this.#engine.copy(fresh, slots[0]!);
    this.#engine.release(fresh);
  }

  /** Gives its row back to the engine. Throws `unavailable` while a step is under way. */
  close(): void {
    if (this.#isClosed) return;
    const [slot] = this.#idle("close");
    this.#isClosed = true;
    this.#engine.release(slot!);
  }

  #idle(what: string): Int32Array {
    if (!this.#isClosed && !this.#isStepping) return this.#slots;
    const reason = this.#isClosed ? "it is closed" : "a step is under way; await it first";
    throw new HiddenstateError("unavailable", `cannot ${what} a stream: ${reason}`);
  }
}
