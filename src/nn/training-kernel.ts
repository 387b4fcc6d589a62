// Which kernel trains: the one place where that is decided for layers, optimizers and clipping.
import { HiddenstateError } from "../base/errors.ts";
import { chooseKernel } from "../kernels/open-network.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";

/** What a layer computes on. */
export interface KernelOptions {
  /**
   * What computes: the fastest that runs here unless given. Float64 tensors, the reference, have `scalar` only. The bits that come out
   * depend on it.
   */
  readonly kernel?: Kernel | undefined;
}

/**
 * The kernel for tensors of the format of `like`. Throws `unavailable` where the one asked for does not run here, and `bad_argument` where it
 * has no float64.
 */
export function trainingKernel(like: Tensor<FloatArray>, asked: Kernel | undefined): Kernel {
  if (like.data instanceof Float32Array) return chooseKernel(asked);
  if (asked === undefined || asked === "scalar") return "scalar";
  throw new HiddenstateError("bad_argument", `cannot use the ${asked} kernel: it has no float64; use scalar, or float32 tensors`);
}
