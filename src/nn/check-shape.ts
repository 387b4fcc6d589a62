// Refuses tensors of a wrong shape before anything has changed, in words that name the shape and the remedy. Nothing is allocated
// where the shape is right.
import { HiddenstateError } from "../base/errors.ts";
import { countOf, describeShape, sameShape } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";

type AnyTensor = Tensor<FloatArray>;

function shapeError(action: string, name: string, { shape, data }: AnyTensor, wanted: string, remedy: string): HiddenstateError {
  const found =
    data.length === countOf(shape)
      ? `has shape ${describeShape(shape)}`
      : `has ${data.length} values for shape ${describeShape(shape)}`;
  return new HiddenstateError("bad_argument", `cannot ${action}: ${name} ${found}, not ${wanted}; ${remedy}`);
}

/** Throws `bad_argument` unless `tensor` is `(N, T, width)` with N, T >= 1. */
export function checkSequences(action: string, name: string, tensor: AnyTensor, width: number): void {
  const { shape, data } = tensor;
  const N = shape[0] ?? 0;
  const T = shape[1] ?? 0;
  if (shape.length === 3 && N >= 1 && T >= 1 && shape[2] === width && data.length === N * T * width) return;
  throw shapeError(action, name, tensor, `(N, T, ${width})`, `pass N >= 1 sequences of T >= 1 steps of ${width} values`);
}

/** Throws `bad_argument` unless `tensor` is `(N, width)` with N >= 1. */
export function checkRows(action: string, name: string, tensor: AnyTensor, width: number): void {
  const { shape, data } = tensor;
  const N = shape[0] ?? 0;
  if (shape.length === 2 && N >= 1 && shape[1] === width && data.length === N * width) return;
  throw shapeError(action, name, tensor, `(N, ${width})`, `pass N >= 1 rows of ${width} values`);
}

/** Throws `bad_argument` unless `tensor` has the shape of `model`; `remedy` says what that is. */
export function checkSameShape(action: string, name: string, tensor: AnyTensor, model: AnyTensor, remedy: string): void {
  if (sameShape(tensor.shape, model.shape) && tensor.data.length === model.data.length) return;
  throw shapeError(action, name, tensor, describeShape(model.shape), remedy);
}

/**
 * Throws `bad_argument` unless `targets` is `(N, steps, width)` for ys `(N, T, O)`; undefined `steps` stands for T. `remedy` says what they
 * are.
 */
export function checkTargets(
  action: string,
  targets: AnyTensor,
  ys: AnyTensor,
  steps: number | undefined,
  width: number,
  remedy: string,
): void {
  const { shape, data } = targets;
  const N = ys.shape[0]!;
  const S = steps ?? ys.shape[1]!;
  const fits = shape[0] === N && shape[1] === S && shape[2] === width;
  if (ys.shape.length === 3 && shape.length === 3 && fits && data.length === N * S * width) return;
  throw shapeError(action, "targets", targets, describeShape([N, S, width]), remedy);
}

/** Throws `bad_argument` unless `tensor` is a matrix of `rows` x `columns`; undefined stands for any number from 1. */
export function checkMatrix(
  action: string,
  name: string,
  tensor: AnyTensor,
  rows: number | undefined,
  columns: number | undefined,
): void {
  const { shape, data } = tensor;
  const D = shape[0] ?? 0;
  const H = shape[1] ?? 0;
  const fits = D >= 1 && H >= 1 && D === (rows ?? D) && H === (columns ?? H);
  if (shape.length === 2 && fits && data.length === D * H) return;
  const wanted = `(${rows ?? "D"}, ${columns ?? "H"})`;
  throw shapeError(action, name, tensor, wanted, "weights are input-major: a row for each input, a column for each output");
}

/**
 * Throws `bad_argument` unless `tensor` is a matrix of one row for each input and H columns for each of the gates that `order` lists, as
 * `r, z, n`. Returns H.
 */
export function checkGates(action: string, name: string, tensor: AnyTensor, order: string): number {
  const { shape, data } = tensor;
  const gates = order.split(", ").length;
  const D = shape[0] ?? 0;
  const columns = shape[1] ?? 0;
  const fits = D >= 1 && columns >= 1 && columns % gates === 0;
  if (shape.length === 2 && fits && data.length === D * columns) return columns / gates;
  const remedy = `weights are input-major: a row for each input, the columns of the gates ${order} side by side`;
  throw shapeError(action, name, tensor, `(D, ${gates}H)`, remedy);
}

/** Throws `bad_argument` unless `tensor` is a vector of `length`. */
export function checkVector(action: string, name: string, tensor: AnyTensor, length: number): void {
  if (tensor.shape.length === 1 && tensor.shape[0] === length && tensor.data.length === length) return;
  throw shapeError(action, name, tensor, `(${length})`, "a bias has one value for each output");
}
