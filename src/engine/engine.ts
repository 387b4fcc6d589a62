// The contract of what steps one model version. States lie in the engine's arena, a row a slot; everything above names a state by
// its slot and never learns how the engine keeps it.
import { countOf } from "../kernels/tensor.ts";
import type { ModelSpec, StateSpec } from "../model/spec.ts";

/** A row of the arena. Valid from `allocate` until `release`. */
export type Slot = number;

/** One stream's state tensors by name, each with the leading axes of its spec at N = 1. */
export type StateTensors = Readonly<Record<string, Float32Array>>;

/** `steps` (T) consecutive readings of each of `count` (N) streams. */
export interface StepBatch {
  /** The streams' slots, at least `count` of them, none twice. */
  readonly slots: Int32Array;
  readonly count: number;
  readonly steps: number;
  /** Features in the sensors' units, `(T, N, D)`: at least T * N * D values. */
  readonly x: Float32Array;
  /** When each reading was taken, `(T, N)`, milliseconds since 1970: for engines that learn. */
  readonly times?: Float64Array;
  /** 1 where a value of x was not measured but stands in for one, `(T, N, D)`: for engines that hold readings against forecasts. */
  readonly missing?: Uint8Array;
  /** Outputs in the targets' units, `(T, N, O)`: written by the step. */
  readonly y: Float32Array;
}

/** How far a stream's learning has come. */
export interface WarmUp {
  readonly readings: number;
  readonly readingsNeeded: number;
  /** Mean squared error of the last forecasts, made before their readings were known, in deviations: its own, and that of the last value. */
  readonly loss: number;
  readonly persistenceLoss: number;
  /** Enough readings, and a loss below persistence. */
  readonly warm: boolean;
}

/** What all streams of an engine have together, and what is no stream's state: it goes on with the readings of each of them. */
export interface SharedState {
  readonly specs: readonly StateSpec[];
  /** Copies it out, and in. Throws `bad_state` where names or lengths differ from the specs. */
  read(into: StateTensors): void;
  write(from: StateTensors): void;
  /** How far the learning of all of them has come. */
  warmUp(): WarmUp;
}

/** What steps one model version, and the arena of the states of the streams on it: a row a slot. */
export interface Engine {
  readonly spec: ModelSpec;
  /** SHA-256 of the model file, lower-case hex. */
  readonly version: string;
  readonly name: "native" | "onnx" | "learning";
  /** What made the bits, for the journal: `scalar-1`, `onnxruntime-1.30.0`. */
  readonly kernel: string;
  /** Whether the same inputs on the same machine give the same bits, whatever the batch, order or chunking. */
  readonly deterministic: boolean;
  /** A row holding the declared initial state. */
  allocate(): Slot;
  release(slot: Slot): void;
  /** Copies a row out. Throws `bad_state` where names or lengths differ from the spec. */
  read(slot: Slot, into: StateTensors): void;
  /** Copies a row in. Throws `bad_state` where names or lengths differ from the spec. */
  write(slot: Slot, from: StateTensors): void;
  copy(from: Slot, to: Slot): void;
  /** Of an engine that learns: how far the stream of a slot has come. */
  warmUp?(slot: Slot): WarmUp;
  /**
   * Of an engine that remembers more of a stream than its network's state: multiplies that state alone, for a gap in the readings; by 0 it is
   * the initial one.
   */
  fade?(slot: Slot, factor: number): void;
  /**
   * Of an engine whose streams learn together. What a step gives then depends on the readings of all streams before it, so each reading is
   * stepped in the order in which they were accepted, whatever batch it came in.
   */
  readonly shared?: SharedState;
  /**
   * Steps each slot's state T times. On rejection no state has changed; `bad_argument` where a buffer is too short. Where it returns a
   * promise, the buffers are lent until that settles, the batch's slots must not be touched and no other step may start; other slots
   * are free to use. A slot that is not allocated, or twice in a batch, is an assertion.
   */
  step(batch: StepBatch): void | Promise<void>;
  close(): Promise<void>;
}

/** Room for one stream's state, or for the shared one, zero-filled. */
export function createStateTensors(states: readonly StateSpec[]): StateTensors {
  return Object.fromEntries(states.map(({ name, shape }) => [name, new Float32Array(countOf(shape))]));
}

/** Multiplies all that an engine remembers of a stream; `scratch` is room for it. */
export function scaleState(engine: Engine, slot: Slot, factor: number, scratch: StateTensors): void {
  engine.read(slot, scratch);
  for (const values of Object.values(scratch)) {
    for (let i = 0; i < values.length; i++) values[i]! *= factor;
  }
  engine.write(slot, scratch);
}

/** A state as another engine takes it: what it has by the same names and sizes, the rest initial. */
export function carriedState(from: StateTensors, states: readonly StateSpec[]): StateTensors {
  const to = createStateTensors(states);
  for (const [name, values] of Object.entries(to)) if (from[name]?.length === values.length) values.set(from[name]);
  return to;
}

/** A copy of what the streams of an engine share; undefined where they share nothing. */
export function sharedStateOf({ shared }: Engine): StateTensors | undefined {
  if (shared === undefined) return undefined;
  const state = createStateTensors(shared.specs);
  shared.read(state);
  return state;
}
