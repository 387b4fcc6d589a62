// All that an online learner remembers of one stream, as named tensors of fixed shapes: two arrays hold them, one of each type, so that a
// stream is copied, kept and compared bit for bit. What the numbers mean is the learner's business.
import { HiddenstateError } from "../base/errors.ts";
import { countOf } from "../kernels/tensor.ts";

export interface StateTensor<A extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly name: string;
  readonly shape: readonly number[];
  /** A view into the stream's memory. */
  readonly data: A;
}

/** Shapes by name. */
export interface StateLayout {
  readonly float32: Readonly<Record<string, readonly number[]>>;
  readonly float64: Readonly<Record<string, readonly number[]>>;
}

function lengthOf(shapes: Readonly<Record<string, readonly number[]>>): number {
  return Object.values(shapes).reduce((sum, shape) => sum + countOf(shape), 0);
}

function viewsOf<A extends Float32Array | Float64Array>(
  shapes: Readonly<Record<string, readonly number[]>>,
  values: A,
): StateTensor<A>[] {
  let at = 0;
  return Object.entries(shapes).map(([name, shape]) => {
    const data = values.subarray(at, (at += countOf(shape))) as A;
    return { name, shape, data };
  });
}

export class OnlineState {
  readonly float32: readonly StateTensor<Float32Array>[];
  readonly float64: readonly StateTensor<Float64Array>[];

  constructor(layout: StateLayout) {
    this.float32 = viewsOf(layout.float32, new Float32Array(lengthOf(layout.float32)));
    this.float64 = viewsOf(layout.float64, new Float64Array(lengthOf(layout.float64)));
  }

  /** All of them, in one order. */
  get tensors(): readonly StateTensor[] {
    return [...this.float32, ...this.float64];
  }

  /** The view of a tensor that the layout names. */
  view32(name: string): Float32Array {
    return this.float32.find((tensor) => tensor.name === name)!.data;
  }

  view64(name: string): Float64Array {
    return this.float64.find((tensor) => tensor.name === name)!.data;
  }

  /** Copies values in. Throws as `expect` does, and nothing has changed then. */
  write(tensors: readonly Pick<StateTensor, "name" | "data">[]): void {
    this.expect(tensors);
    this.tensors.forEach(({ data }, index) => data.set(tensors[index]!.data));
  }

  /** Throws `bad_state` unless they are tensors of the same names, types and lengths. */
  expect(tensors: readonly Pick<StateTensor, "name" | "data">[]): void {
    this.tensors.forEach(({ name, data }, index) => {
      const given = tensors[index];
      if (given?.name === name && given.data.constructor === data.constructor && given.data.length === data.length) return;
      const type = data instanceof Float32Array ? "float32" : "float64";
      throw new HiddenstateError(
        "bad_state",
        `cannot set the state of a learner: tensor ${index} must be ${name}, ${data.length} values of ${type}; ` +
          "set what a learner of the same settings gave",
      );
    });
  }
}
