// Which engine steps a model. Callers above name a choice, never a class.
import type { NetworkOptions } from "../kernels/open-network.ts";
import type { Model } from "../model/model.ts";
import type { Engine } from "./engine.ts";
import { NativeEngine } from "./native-engine.ts";
import { openOnnxEngine } from "./onnx-engine.ts";

export type EngineChoice = "native" | "onnx" | "auto";

export interface EngineOptions extends Pick<NetworkOptions, "kernel"> {
  readonly engine: EngineChoice;
}

/**
 * An engine for a model; `kernel` is the native engine's. `auto` is the native engine: it takes every model that `decodeModel` lets
 * through. Throws `missing_package` where `onnx` is asked for and onnxruntime-node is not installed, and `unavailable` where the kernel
 * does not run here.
 */
export async function openEngine(model: Model, { engine, kernel }: EngineOptions): Promise<Engine> {
  return engine === "onnx" ? openOnnxEngine(model) : new NativeEngine(model, kernel === undefined ? {} : { kernel });
}
