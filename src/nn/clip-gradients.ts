// Bounds the length of a whole gradient, so that one steep step cannot throw a recurrent network away (Pascanu, Mikolov and Bengio,
// 2013).
import type { FloatArray, Tensor } from "../kernels/tensor.ts";

/**
 * Scales `grads` in place by min(1, normMax / (norm + 1e-6)), where norm is the Euclidean length of them all together, as PyTorch's
 * clip_grad_norm_ does. Returns the norm before; where it is not finite, the gradients are of no use afterwards and must not be applied.
 */
export function clipGradients<A extends FloatArray>(grads: readonly Tensor<A>[], normMax: number): number {
  let squares = 0;
  for (const { data } of grads) {
    for (let i = 0; i < data.length; i++) squares += data[i]! * data[i]!;
  }
  const norm = Math.sqrt(squares);
  const coefficient = normMax / (norm + 1e-6);
  if (coefficient < 1) {
    for (const { data } of grads) {
      for (let i = 0; i < data.length; i++) data[i] = data[i]! * coefficient;
    }
  }
  return norm;
}
