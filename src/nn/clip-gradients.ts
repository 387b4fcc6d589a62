// Bounds the length of a whole gradient, so that one steep step cannot throw a recurrent network away (Pascanu, Mikolov and Bengio,
// 2013).
import { SimdGradients } from "../kernels/simd-optimizer.ts";
import type { SimdKernel } from "../kernels/simd-module.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { trainingKernel } from "./training-kernel.ts";
import type { KernelOptions } from "./training-kernel.ts";

/** One for each kernel in use: it holds nothing from call to call but memory. */
const simdGradients = new Map<SimdKernel, SimdGradients>();

function simdOf(kernel: SimdKernel): SimdGradients {
  let simd = simdGradients.get(kernel);
  if (simd === undefined) simdGradients.set(kernel, (simd = new SimdGradients(kernel)));
  return simd;
}

function sumSquares(grads: readonly Tensor<FloatArray>[]): number {
  let squares = 0;
  for (const { data } of grads) {
    for (let i = 0; i < data.length; i++) squares += data[i]! * data[i]!;
  }
  return squares;
}

function scale(grads: readonly Tensor<FloatArray>[], factor: number): void {
  for (const { data } of grads) {
    for (let i = 0; i < data.length; i++) data[i] = data[i]! * factor;
  }
}

/**
 * Scales `grads` in place by min(1, normMax / (norm + 1e-6)), where norm is the Euclidean length of them all together, as PyTorch's
 * clip_grad_norm_ does. Returns the norm before; where it is not finite, the gradients are of no use afterwards and must not be applied.
 * Squares are summed in double precision.
 */
export function clipGradients<A extends FloatArray>(
  grads: readonly Tensor<A>[],
  normMax: number,
  options?: KernelOptions,
): number;
export function clipGradients(grads: readonly Tensor[], normMax: number, options: KernelOptions = {}): number {
  if (grads.length === 0) return 0;
  const kernel = trainingKernel(grads[0]!, options.kernel);
  const simd = kernel === "scalar" ? undefined : simdOf(kernel);
  const norm = Math.sqrt(simd === undefined ? sumSquares(grads) : simd.sumSquares(grads));
  const factor = normMax / (norm + 1e-6);
  if (factor < 1) {
    if (simd === undefined) scale(grads, factor);
    else simd.scale(grads, factor);
  }
  return norm;
}
