// Which engine steps a model. Callers above name a choice, never a class.
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { Model } from "../model/model.ts";
import { nativeProblem } from "../model/native-problem.ts";
import type { Engine } from "./engine.ts";
import { NativeEngine } from "./native-engine.ts";
import { openOnnxEngine } from "./onnx-engine.ts";
import { RolledEngine } from "./rolled-engine.ts";

/** `native`: ours, on SIMD WebAssembly. `onnx`: onnxruntime-node, which must be installed. */
export type EngineChoice = "native" | "onnx" | "auto";

/** Which engine, and for the native one which kernel. */
export interface EngineOptions {
  /** Default `auto`: the native engine where it takes the model, else onnxruntime. */
  readonly engine?: EngineChoice;
  /** The native engine's; the fastest that runs here where it is absent. */
  readonly kernel?: Kernel;
}

/** What `auto` means before anything was measured: the native engine where it takes the model. */
export function defaultEngine({ spec }: Model): "native" | "onnx" {
  return nativeProblem(spec) === undefined ? "native" : "onnx";
}

/**
 * An engine for a model; `kernel` is the native engine's. Throws `bad_model` where `native` is asked for and does not take the model,
 * `missing_package` where onnx is needed and onnxruntime-node is not installed, and `unavailable` where the kernel does not run here.
 */
export async function openEngine(model: Model, { engine = "auto", kernel }: EngineOptions = {}): Promise<Engine> {
  if (model.rolled !== undefined) {
    return new RolledEngine(model, await openEngine(model.rolled.file, kernel === undefined ? { engine } : { engine, kernel }));
  }
  const name = engine === "auto" ? defaultEngine(model) : engine;
  return name === "onnx" ? openOnnxEngine(model) : new NativeEngine(model, kernel === undefined ? {} : { kernel });
}
