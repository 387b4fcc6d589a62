// Which engine steps a model. Callers above name a choice, never a class.
import type { Model } from "../model/model.ts";
import type { Engine } from "./engine.ts";
import { NativeEngine } from "./native-engine.ts";
import { openOnnxEngine } from "./onnx-engine.ts";

export type EngineChoice = "native" | "onnx" | "auto";

/**
 * An engine for a model. `auto` is the native engine: it takes every model that `decodeModel` lets through. Throws `missing_package`
 * where `onnx` is asked for and onnxruntime-node is not installed.
 */
export async function openEngine(model: Model, options: { readonly engine: EngineChoice }): Promise<Engine> {
  return options.engine === "onnx" ? openOnnxEngine(model) : new NativeEngine(model);
}
