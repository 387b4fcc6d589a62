// Which kernel steps a network. Callers above name a choice, never a class.
import { HiddenstateError } from "../base/errors.ts";
import type { NetworkWeights } from "./network-weights.ts";
import type { Kernel, RecurrentNetwork } from "./recurrent-network.ts";
import { ScalarNetwork } from "./scalar-network.ts";
import { hasKernel } from "./simd-module.ts";
import { SimdNetwork } from "./simd-network.ts";

export interface NetworkOptions {
  /** The fastest that runs here unless given. */
  readonly kernel?: Kernel;
  /** Room in the lent buffers, in stream-steps. Larger batches are stepped in parts. */
  readonly lentRows?: number;
}

/** The fastest kernel of this process and processor. */
export function fastestKernel(): Kernel {
  return hasKernel("relaxed") ? "relaxed" : hasKernel("plain") ? "plain" : "scalar";
}

/** The kernel asked for, or the fastest. Throws `unavailable` where the one asked for does not run here. */
export function chooseKernel(kernel: Kernel = fastestKernel()): Kernel {
  if (hasKernel(kernel)) return kernel;
  throw new HiddenstateError(
    "unavailable",
    `cannot use the ${kernel} kernel: this process or processor has no ${kernel === "relaxed" ? "relaxed " : ""}WebAssembly SIMD; ` +
      `use ${fastestKernel()}`,
  );
}

/**
 * A network on a kernel. Throws `unavailable` where the kernel asked for does not run here, and `bad_argument` where the weights do not fit
 * each other.
 */
export function openNetwork(weights: NetworkWeights, { kernel: asked, lentRows = 1024 }: NetworkOptions = {}): RecurrentNetwork {
  const kernel = chooseKernel(asked);
  return kernel === "scalar" ? new ScalarNetwork(weights, lentRows) : new SimdNetwork(kernel, weights, lentRows);
}
