// Tensors as plain arrays with a shape, row-major. Whoever makes one owns its memory; a contract that lends memory says so.
import { HiddenstateError } from "../base/errors.ts";

/** The two number formats of training: float32 is what runs, float64 is the reference that judges it. */
export type FloatArray = Float32Array | Float64Array;

/** An array with a shape, row-major. */
export interface Tensor<A extends FloatArray = Float32Array> {
  readonly shape: readonly number[];
  readonly data: A;
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** `(2, 3, 4)`, as error messages write a shape. */
export function describeShape(shape: readonly number[]): string {
  return `(${shape.join(", ")})`;
}

/** A float32 tensor over `data`, which is lent, not copied. Throws `bad_argument` where length and shape disagree. */
export function tensor<A extends FloatArray>(data: A, shape: readonly number[]): Tensor<A> {
  if (data.length !== countOf(shape)) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot make a tensor of shape ${describeShape(shape)}: it takes ${countOf(shape)} values, not ${data.length}`,
    );
  }
  return { shape, data };
}

/** A float32 tensor of zeros. */
export function zeros(shape: readonly number[]): Tensor {
  return { shape, data: new Float32Array(countOf(shape)) };
}

/** A float64 tensor of zeros. */
export function zeros64(shape: readonly number[]): Tensor<Float64Array> {
  return { shape, data: new Float64Array(countOf(shape)) };
}

/** A zero-filled tensor in the number format of `like`. */
export function zerosLike<A extends FloatArray>(like: Tensor<A>, shape: readonly number[]): Tensor<A>;
export function zerosLike(like: Tensor<FloatArray>, shape: readonly number[]): Tensor<FloatArray> {
  return like.data instanceof Float32Array ? zeros(shape) : zeros64(shape);
}

/** A tensor of its own memory with the values of `from`. */
export function copyTensor<A extends FloatArray>(from: Tensor<A>): Tensor<A> {
  const copy = zerosLike(from, from.shape);
  copy.data.set(from.data);
  return copy;
}

/** The same values in the reference's number format. */
export function toFloat64(from: Tensor<FloatArray>): Tensor<Float64Array> {
  return { shape: from.shape, data: Float64Array.from(from.data) };
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}
