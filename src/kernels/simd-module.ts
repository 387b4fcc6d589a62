// The two WebAssembly builds of src/kernels/assembly: which of them this process can run, and an instance with a memory of its own. There
// are two programs in each, what steps networks and what trains layers. What their functions mean is written there; nothing in src calls
// them but the simd-*.ts beside this.
import v8 from "node:v8";
import { simdPlain } from "./generated/simd-plain.js";
import { simdRelaxed } from "./generated/simd-relaxed.js";
import { trainingPlain } from "./generated/training-plain.js";
import { trainingRelaxed } from "./generated/training-relaxed.js";
import type { Kernel } from "./recurrent-network.ts";
import { SimdMemory } from "./simd-memory.ts";

export type SimdKernel = Exclude<Kernel, "scalar">;

/** What both programs have: measure.ts and activation-rows.ts of the assembly. Addresses are bytes everywhere. */
interface MeasureExports {
  tanhAll(from: number, out: number, quads: number): void;
  expAll(from: number, out: number, quads: number): void;
  sigmoidAll(from: number, out: number, quads: number): void;
  roundsOnce(factor: number): number;
  multiplyAddRounds(rounds: number, a: number, b: number): number;
}

/** What steps networks: network.ts of the assembly, by its names. */
export interface SimdExports extends MeasureExports {
  open(inputs: number, outputs: number, numbersMax: number): void;
  setInput(index: number, mean: number, scale: number): void;
  addLayer(cell: number, hidden: number): void;
  stateOffset(): number;
  setWeights(input: number): void;
  setBiases(): void;
  addHead(kind: number, residual: boolean): void;
  setHeadWeights(unit: number): void;
  setBias(output: number, bias: number): void;
  setTarget(target: number, mean: number, scale: number, feature: number): void;
  seal(rowsMax: number): void;
  /** How many slots there are now; fewer than asked for where there is no memory left. */
  reserve(slots: number): number;
  numbersAddress(): number;
  xAddress(): number;
  yAddress(): number;
  slotsAddress(): number;
  arenaAddress(): number;
  arenaRowBytes(): number;
  /** 1, or 0 where a slot does not exist. */
  readonly step: (count: number, steps: number) => number;
}

/**
 * What trains layers: sequence.ts, affine.ts, optimize.ts and squared-error.ts of the assembly. An instance holds one of the four at a time.
 */
export interface TrainingExports extends MeasureExports {
  openSequence(cell: number, inputs: number, hidden: number, sequences: number, steps: number): void;
  sequenceArray(name: number): number;
  forwardSequence(): void;
  backwardSequence(byInputs: boolean): void;
  openAffine(inputs: number, outputs: number, rows: number): void;
  affineArray(name: number): number;
  forwardAffine(): void;
  backwardAffine(): void;
  openOptimizer(count: number, moments: number): void;
  optimizerArray(name: number): number;
  stepAdam(count: number): void;
  sumSquares(count: number): number;
  scaleGradients(count: number, factor: number): void;
  openSquaredError(values: number): void;
  squaredErrorArray(name: number): number;
  countKnown(): number;
  sumSquaredErrors(known: number): void;
}

interface Programs {
  network: SimdExports;
  training: TrainingExports;
}

type Program = keyof Programs;

export interface SimdInstance<E = SimdExports> {
  readonly exports: E;
  readonly memory: SimdMemory;
}

/** V8 took relaxed SIMD out of its trial flag in version 11.4; Node 20 has 11.3. */
const RELAXED_FLAG = "--experimental-wasm-relaxed-simd";
const V8_WITHOUT_FLAG = 12;

const sources: Readonly<Record<SimdKernel, Readonly<Record<Program, string>>>> = {
  relaxed: { network: simdRelaxed, training: trainingRelaxed },
  plain: { network: simdPlain, training: trainingPlain },
};
const modules = new Map<string, WebAssembly.Module | undefined>();

function instantiate<P extends Program>(module: WebAssembly.Module): SimdInstance<Programs[P]> {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return { exports: instance.exports as unknown as Programs[P], memory: new SimdMemory(memory) };
}

function validates(bytes: Uint8Array): boolean {
  return typeof WebAssembly !== "undefined" && WebAssembly.validate(bytes);
}

function compileRelaxed(bytes: Uint8Array): WebAssembly.Module | undefined {
  // The flag counts for modules compiled after it, and in all threads of the process.
  if (!validates(bytes) && Number.parseInt(process.versions.v8, 10) < V8_WITHOUT_FLAG) v8.setFlagsFromString(RELAXED_FLAG);
  if (!validates(bytes)) return undefined;
  const module = new WebAssembly.Module(bytes);
  // A processor without the instruction rounds twice: the plain build's bits, which must not go by another name.
  return instantiate(module).exports.roundsOnce(2 ** -13) === 1 ? module : undefined;
}

function compilePlain(bytes: Uint8Array): WebAssembly.Module | undefined {
  return validates(bytes) ? new WebAssembly.Module(bytes) : undefined;
}

/** A program of a kernel, compiled once a process; undefined where this process or processor does not have what it needs. */
function moduleOf(kernel: SimdKernel, program: Program): WebAssembly.Module | undefined {
  const key = `${program}-${kernel}`;
  if (!modules.has(key)) {
    const bytes = Buffer.from(sources[kernel][program], "base64");
    modules.set(key, kernel === "relaxed" ? compileRelaxed(bytes) : compilePlain(bytes));
  }
  return modules.get(key);
}

/** Whether this process and processor can run a kernel. `scalar` runs everywhere. */
export function hasKernel(kernel: Kernel): boolean {
  return kernel === "scalar" || moduleOf(kernel, "network") !== undefined;
}

function create<P extends Program>(kernel: SimdKernel, program: P): SimdInstance<Programs[P]> {
  const module = moduleOf(kernel, program);
  if (module === undefined) throw new Error(`the ${kernel} kernel does not run here`);
  return instantiate<P>(module);
}

/** A new instance of a kernel that `hasKernel` has said yes to. */
export function createSimdInstance(kernel: SimdKernel): SimdInstance {
  return create(kernel, "network");
}

/** The same of what trains. */
export function createTrainingInstance(kernel: SimdKernel): SimdInstance<TrainingExports> {
  return create(kernel, "training");
}
