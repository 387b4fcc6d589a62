// What networks compute and learn on this processor, written to a file or held against the file of another: `node arithmetic.js write FILE`
// and `compare FILE`. A kernel of the same name in the journal must give the same bits everywhere, which is what a replay on another box relies
// on; one of another name, and onnxruntime, are held to the parity measure. What one of the two machines does not have is left out, and told.
import { readFileSync, writeFileSync } from "node:fs";
import { createRandom } from "../../src/base/random.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { openOnnxEngine } from "../../src/engine/onnx-engine.ts";
import { outputScales, PARITY_TOLERANCE, worstDifference } from "../../src/engine/parity.ts";
import { parityInputs } from "../../src/engine/parity-inputs.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import type { Kernel } from "../../src/kernels/recurrent-network.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import type { Model } from "../../src/model/model.ts";
import { Adam } from "../../src/nn/adam.ts";
import { clipGradients } from "../../src/nn/clip-gradients.ts";
import { describeModel, SUITE_MODELS } from "../engine/engine.suite.ts";
import { randomModel } from "../support/random-model.ts";
import { randomTensor } from "../support/random-tensors.ts";

const STREAMS = 3;
const STEPS = 48;
const UPDATES = 6;
const kernels = (["scalar", "plain", "relaxed"] as const).filter(hasKernel);

/** Numbers that another machine should have too, each on a scale: value i on `scales[i % scales.length]`. */
interface Figures {
  readonly values: Float32Array;
  readonly scales: readonly number[];
}

/** By what made them: the kernel or `onnx`, a colon, and what was computed. */
type Record = Map<string, Figures>;

async function noteSteps(record: Record, name: string, engine: Engine, model: Model): Promise<void> {
  const slots = Int32Array.from({ length: STREAMS }, () => engine.allocate());
  for (const kind of ["usual", "extreme"] as const) {
    const x = parityInputs(kind, model.weights, createRandom(5), STEPS, STREAMS);
    const y = new Float32Array(STEPS * STREAMS * model.spec.outputs.length);
    await engine.step({ slots, count: STREAMS, steps: STEPS, x, y });
    record.set(`${name}, ${kind} outputs`, { values: y, scales: [...outputScales(model.spec)] });
    const states = Array.from(slots).flatMap((slot) => {
      const tensors = createStateTensors(model.spec.states);
      engine.read(slot, tensors);
      return Object.values(tensors).flatMap((values) => Array.from(values));
    });
    record.set(`${name}, ${kind} states`, { values: Float32Array.from(states), scales: [1] });
  }
  await engine.close();
}

function noteTraining(record: Record, name: string, kernel: Kernel, { spec, weights }: Model): void {
  const model = new SequenceModel(spec, weights, { kernel });
  const random = createRandom(9);
  const [N, T] = [2, 7];
  const xs = randomTensor(random, [N, T, spec.features.length]);
  const isClassifier = spec.head.kind === "classifier";
  const K = isClassifier ? 1 : weights.yScale.data.length;
  const targets = randomTensor(random, [N, T, K]);
  if (isClassifier) for (let i = 0; i < targets.data.length; i++) targets.data[i] = i % spec.outputs.length;
  const optimizer = new Adam(model.params, { learningRate: 1e-3, kernel });
  const losses: number[] = [];
  for (let update = 0; update < UPDATES; update++) {
    losses.push(model.loss(xs, targets));
    model.backwardParams();
    clipGradients(model.grads, 1, { kernel });
    optimizer.step(model.grads);
  }
  const trained = model.params.flatMap(({ data }) => Array.from(data));
  record.set(`${name}, losses and trained weights`, { values: Float32Array.from([...losses, ...trained]), scales: [1] });
}

async function compute(): Promise<Record> {
  const record: Record = new Map();
  const hasOnnx = await import("onnxruntime-node").then(
    () => true,
    () => false,
  );
  for (const options of SUITE_MODELS) {
    const model = randomModel(options);
    const name = describeModel(options);
    for (const kernel of kernels) {
      await noteSteps(record, `${kernel}: ${name}`, new NativeEngine(model, { kernel }), model);
      noteTraining(record, `${kernel}: ${name}`, kernel, model);
    }
    if (hasOnnx) await noteSteps(record, `onnx: ${name}`, await openOnnxEngine(model), model);
  }
  return record;
}

function encode(record: Record): string {
  const entries = [...record].map(([name, { values, scales }]) => ({
    name,
    bits: Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64"),
    scales,
  }));
  return JSON.stringify({ arch: process.arch, node: process.version, versions: kernelVersions, entries });
}

interface Machine {
  readonly name: string;
  /** What its journal calls its kernels. */
  readonly versions: Readonly<{ [maker: string]: string }>;
  readonly record: Record;
}

function decode(text: string): Machine {
  const { arch, node, versions, entries } = JSON.parse(text) as {
    arch: string;
    node: string;
    versions: Machine["versions"];
    entries: { name: string; bits: string; scales: number[] }[];
  };
  const record: Record = new Map();
  for (const { name, bits, scales } of entries) {
    record.set(name, { values: new Float32Array(Uint8Array.from(Buffer.from(bits, "base64")).buffer), scales });
  }
  return { name: `${arch} with Node ${node}`, versions, record };
}

/** Values whose bits differ; all NaNs count as one, for which of them comes out is the processor's choice. */
function differing(a: Float32Array, b: Float32Array): number {
  const [aBits, bBits] = [new Uint32Array(a.buffer, a.byteOffset, a.length), new Uint32Array(b.buffer, b.byteOffset, b.length)];
  let count = a.length === b.length ? 0 : Infinity;
  for (let i = 0; i < a.length; i++) if (aBits[i] !== bBits[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) count++;
  return count;
}

/** The makers of one kind on both machines, side by side. Prints a line; whether all is as it should be. */
function compareMaker(maker: Kernel | "onnx", here: Record, there: Machine): boolean {
  const names = [...here.keys()].filter((name) => name.startsWith(`${maker}:`));
  const absent = names.length === 0 ? "here" : names.every((name) => there.record.has(name)) ? undefined : `on ${there.name}`;
  if (absent !== undefined) {
    console.log(`${maker}: absent ${absent}, not compared`);
    return maker !== "scalar";
  }
  const isExact = maker !== "onnx" && kernelVersions[maker] === there.versions[maker];
  let [count, bits, worst, right] = [0, 0, 0, true];
  for (const name of names) {
    const [a, b] = [here.get(name)!, there.record.get(name)!];
    const apart = differing(a.values, b.values);
    const difference = apart === 0 ? 0 : worstDifference(a.values, 0, b.values, 0, a.values.length, Float64Array.from(a.scales));
    count += a.values.length;
    bits += apart;
    worst = Math.max(worst, difference);
    if (isExact ? apart === 0 : difference <= PARITY_TOLERANCE) continue;
    right = false;
    console.log(`WRONG: ${name}: ${apart} of ${a.values.length} values differ, worst ${difference.toExponential(1)}`);
  }
  const told = bits === 0 ? "bit for bit" : `${bits} differ in their bits, worst ${worst.toExponential(1)} of the scale`;
  console.log(`${maker === "onnx" ? maker : kernelVersions[maker]}: ${count} values beside ${there.name}: ${told}`);
  return right;
}

const [verb, file] = process.argv.slice(2);
if (file === undefined || (verb !== "write" && verb !== "compare")) {
  console.error("usage: node arithmetic.js write|compare FILE");
  process.exit(64);
}
const record = await compute();
if (verb === "write") writeFileSync(file, encode(record));
else {
  const there = decode(readFileSync(file, "utf8"));
  const verdicts = (["scalar", "plain", "relaxed", "onnx"] as const).map((maker) => compareMaker(maker, record, there));
  process.exitCode = verdicts.every(Boolean) ? 0 : 1;
}
