// The two WebAssembly builds of src/kernels/assembly: which of them this process can run, and an instance with a memory of its own. What
// its functions mean is written there; nothing else in src calls them but simd-network.ts.
import v8 from "node:v8";
import { simdPlain } from "./generated/simd-plain.js";
import { simdRelaxed } from "./generated/simd-relaxed.js";
import type { Kernel } from "./recurrent-network.ts";
import { SimdMemory } from "./simd-memory.ts";

export type SimdKernel = Exclude<Kernel, "scalar">;

/** What a module exports: network.ts and measure.ts of the assembly, by their names there. Addresses are bytes. */
export interface SimdExports {
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
  tanhAll(from: number, out: number, quads: number): void;
  expAll(from: number, out: number, quads: number): void;
  sigmoidAll(from: number, out: number, quads: number): void;
  roundsOnce(factor: number): number;
  multiplyAddRounds(rounds: number, a: number, b: number): number;
}

export interface SimdInstance {
  readonly exports: SimdExports;
  readonly memory: SimdMemory;
}

/** V8 took relaxed SIMD out of its trial flag in version 11.4; Node 20 has 11.3. */
const RELAXED_FLAG = "--experimental-wasm-relaxed-simd";
const V8_WITHOUT_FLAG = 12;

const modules = new Map<SimdKernel, WebAssembly.Module | undefined>();

function instantiate(module: WebAssembly.Module): SimdInstance {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return { exports: instance.exports as unknown as SimdExports, memory: new SimdMemory(memory) };
}

function validates(bytes: Uint8Array): boolean {
  return typeof WebAssembly !== "undefined" && WebAssembly.validate(bytes);
}

function compileRelaxed(): WebAssembly.Module | undefined {
  const bytes = Buffer.from(simdRelaxed, "base64");
  // The flag counts for modules compiled after it, and in all threads of the process.
  if (!validates(bytes) && Number.parseInt(process.versions.v8, 10) < V8_WITHOUT_FLAG) v8.setFlagsFromString(RELAXED_FLAG);
  if (!validates(bytes)) return undefined;
  const module = new WebAssembly.Module(bytes);
  // A processor without the instruction rounds twice: the plain build's bits, which must not go by another name.
  return instantiate(module).exports.roundsOnce(2 ** -13) === 1 ? module : undefined;
}

function compilePlain(): WebAssembly.Module | undefined {
  const bytes = Buffer.from(simdPlain, "base64");
  return validates(bytes) ? new WebAssembly.Module(bytes) : undefined;
}

/** The build of a kernel, compiled once a process; undefined where this process or processor does not have what it needs. */
function moduleOf(kernel: SimdKernel): WebAssembly.Module | undefined {
  if (!modules.has(kernel)) modules.set(kernel, kernel === "relaxed" ? compileRelaxed() : compilePlain());
  return modules.get(kernel);
}

/** Whether this process and processor can run a kernel. `scalar` runs everywhere. */
export function hasKernel(kernel: Kernel): boolean {
  return kernel === "scalar" || moduleOf(kernel) !== undefined;
}

/** A new instance of a kernel that `hasKernel` has said yes to. */
export function createSimdInstance(kernel: SimdKernel): SimdInstance {
  const module = moduleOf(kernel);
  if (module === undefined) throw new Error(`the ${kernel} kernel does not run here`);
  return instantiate(module);
}
