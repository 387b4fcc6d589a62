// Tensors of uniform draws in both number formats, for tests.
import type { Random } from "../../src/base/random.ts";
import { zeros, zeros64 } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { fillUniform } from "../../src/nn/initializers.ts";

export function randomTensor(random: Random, shape: readonly number[], bound = 1): Tensor {
  const drawn = zeros(shape);
  fillUniform(drawn, bound, random);
  return drawn;
}

export function randomTensor64(random: Random, shape: readonly number[], bound = 1): Tensor<Float64Array> {
  const drawn = zeros64(shape);
  fillUniform(drawn, bound, random);
  return drawn;
}
