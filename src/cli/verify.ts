// `hiddenstate verify`: does a model file compute the same in the native engine and in onnxruntime? It prints the worst differences by
// the parity measure, and its exit code is the answer.
import { Command, Option } from "commander";
import { systemDisk } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { compareEngines } from "../engine/compare-engines.ts";
import type { ParityPart, ParityReport } from "../engine/compare-engines.ts";
import { NativeEngine } from "../engine/native-engine.ts";
import { openOnnxEngine } from "../engine/onnx-engine.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { Model } from "../model/model.ts";
import { shortVersion } from "../model/model.ts";
import { loadModel } from "../onnx/load-model.ts";

function figure(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function verdictOf({ verdict, growth, unresolved = 0 }: ParityPart): string {
  if (growth !== undefined) return `${verdict}: after a nudge of 1e-7 the float64 reference drifts by ${figure(growth)}`;
  if (unresolved > 0) return `${verdict}, without ${counted(unresolved, "step")} that float32 cannot resolve`;
  return verdict;
}

/** The report as a person reads it. */
function formatReport(path: string, { spec, version }: Model, kernels: readonly string[], report: ParityReport): string {
  const layers = spec.layers.map((layer) => `${layer.cell} ${layer.hidden}`).join(", ");
  const head = spec.head.kind === "regression" ? "" : `, a ${spec.head.kind} head`;
  const lines = [
    `${path}: ${counted(spec.features.length, "feature")}, ${counted(spec.outputs.length, "output")}, ${layers}${head}, version ${shortVersion(version)}`,
    `${kernels.join(" against ")}, ${report.parts[0]!.steps} steps a part: the worst |a - b| / max(scale, |b|), at most ${report.tolerance}`,
  ];
  let inputs = "";
  for (const part of report.parts) {
    if (part.inputs !== inputs)
      lines.push("", `${`${part.inputs} inputs`.padEnd(36)}${"outputs".padEnd(10)}${"states".padEnd(10)}`.trimEnd());
    inputs = part.inputs;
    lines.push(`  ${part.name.padEnd(34)}${figure(part.outputs).padEnd(10)}${figure(part.states).padEnd(10)}${verdictOf(part)}`);
  }
  return `${lines.join("\n")}\n\n${report.passed ? "passed" : "failed"}\n`;
}

/**
 * Verifies the model file at `path` and writes the report; the native engine steps on the fastest kernel unless one is named. Returns
 * whether it passed. Throws `bad_model` for a file that cannot be used, `unavailable` where the kernel does not run here, and
 * `missing_package` without onnxruntime-node.
 */
export async function verifyModel(
  path: string,
  options: {
    readonly json: boolean;
    readonly kernel?: Kernel | undefined;
    readonly disk: Disk;
    readonly write: (text: string) => void;
  },
): Promise<boolean> {
  const model = await loadModel(options.disk, path);
  const native = new NativeEngine(model, options.kernel === undefined ? {} : { kernel: options.kernel });
  const onnx = await openOnnxEngine(model);
  try {
    const report = await compareEngines(model, native, onnx);
    const kernels = [native.kernel, onnx.kernel];
    // JSON has no infinity: a difference that is not a number stands as null.
    const json = (): string => `${JSON.stringify({ model: path, version: model.version, kernels, ...report })}\n`;
    options.write(options.json ? json() : formatReport(path, model, kernels, report));
    return report.passed;
  } finally {
    await Promise.all([native.close(), onnx.close()]);
  }
}

export function verifyCommand(): Command {
  return new Command("verify")
    .description("hold the native engine against onnxruntime on a model file")
    .argument("<model>", "a model file (.onnx)")
    .addOption(new Option("--kernel <kernel>", "what the native engine steps on").choices(["relaxed", "plain", "scalar"]))
    .option("--json", "print one JSON object", false)
    .action(async (path: string, options: { json: boolean; kernel?: Kernel }) => {
      const passed = await verifyModel(path, { ...options, disk: systemDisk, write: (text) => process.stdout.write(text) });
      if (!passed) process.exitCode = 1;
    });
}
