// The model that comes with the package, and the simulated devices it was trained on.
import { fileURLToPath } from "node:url";
import type { SignalKind } from "../../firmware-sim/signals.ts";

export const shippedModelPath = fileURLToPath(new URL("../../../models/bearing.onnx", import.meta.url));
export const shippedModelSignal: SignalKind = "vibration";
