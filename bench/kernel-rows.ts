// The rows of bench/kernels.ts, measured in one process: native and onnxruntime in turns, and the processor's best rate beside every row,
// for a clock that changes its pace would else look like a better kernel. Medians over rounds.
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import type * as onnxruntime from "onnxruntime-node";
import { createRandom } from "../src/base/random.ts";
import type { Random } from "../src/base/random.ts";
import { gatesOf } from "../src/kernels/network-weights.ts";
import type { CellLayer, NetworkWeights } from "../src/kernels/network-weights.ts";
import { openNetwork } from "../src/kernels/open-network.ts";
import { kernelVersions } from "../src/kernels/recurrent-network.ts";
import type { Kernel, RecurrentNetwork } from "../src/kernels/recurrent-network.ts";
import { createSimdInstance, hasKernel } from "../src/kernels/simd-module.ts";
import { tensor } from "../src/kernels/tensor.ts";
import type { Tensor } from "../src/kernels/tensor.ts";
import { median } from "./median.ts";
import { encodeCell } from "./onnx-cell.ts";

const D = 8;
const O = 8;
/** Steps of one onnxruntime call where its compute is looked at and not its call. */
const CHUNK = 64;
/** Milliseconds that a contender runs before it is measured, and that one reading of the clock takes in at least. */
const WARMING_MS = 60;
const READING_MS = 3;

export type Cell = "rnn" | "gru" | "lstm";

/** Times are nanoseconds a stream-step; the onnx ones are null where onnxruntime does not load. */
export interface Row {
  readonly cell: Cell;
  readonly hidden: number;
  readonly batch: number;
  readonly nativeNs: number;
  /** onnxruntime, one step a call. */
  readonly onnxNs: number | null;
  /** onnxNs / nativeNs. */
  readonly ratio: number | null;
  /** onnxruntime, 64 steps a call. */
  readonly onnxChunkNs: number | null;
  /** 2 (D + H) G H + 2 H O operations a stream-step. */
  readonly gflops: number;
  /** gflops as a share of the best multiply-add rate of this build's 128-bit instructions, measured beside the row. */
  readonly peakShare: number;
  readonly kernel: string;
}

export interface Plan {
  readonly cells: readonly Cell[];
  readonly hidden: readonly number[];
  readonly batches: readonly number[];
  readonly rounds: number;
  readonly kernel: Kernel;
}

function uniform(random: Random, shape: readonly number[], spread: number): Tensor {
  const length = shape.reduce((product, axis) => product * axis, 1);
  return tensor(
    Float32Array.from({ length }, () => spread * (2 * random.next() - 1)),
    shape,
  );
}

/** Every weight is written: memory that never was is one page of the kernel's, and faster than any real one. */
function randomNetwork(cell: Cell, H: number): NetworkWeights {
  const random = createRandom(H);
  const G = { rnn: 1, gru: 3, lstm: 4 }[cell];
  const spread = 1 / Math.sqrt(H);
  const numbers = {
    Wx: uniform(random, [D, G * H], spread),
    Wh: uniform(random, [H, G * H], spread),
    b: uniform(random, [G * H], spread),
  };
  const layers: Record<Cell, () => CellLayer> = {
    rnn: () => ({ cell: "rnn", activation: "tanh", ...numbers }),
    gru: () => ({ cell: "gru", linearBeforeReset: true, ...numbers, bn: uniform(random, [H], spread) }),
    lstm: () => ({ cell: "lstm", ...numbers }),
  };
  const ones = (length: number): Tensor => tensor(new Float32Array(length).fill(1), [length]);
  const zeros = (length: number): Tensor => tensor(new Float32Array(length), [length]);
  return {
    xMean: zeros(D),
    xScale: ones(D),
    layers: [layers[cell]()],
    head: { W: uniform(random, [H, O], spread), b: uniform(random, [O], spread) },
    headKind: "regression",
    yMean: zeros(O),
    yScale: ones(O),
    residual: new Int32Array(),
  };
}

/** The best rate of multiply-adds here, in operations a nanosecond: from registers, in the relaxed build where there is one. */
function peakGflops(): number {
  const { exports } = createSimdInstance(hasKernel("relaxed") ? "relaxed" : "plain");
  const rounds = 40_000;
  let best = Infinity;
  for (let turn = 0; turn < 5; turn++) {
    const start = performance.now();
    exports.multiplyAddRounds(rounds, 1.5, 0.25);
    best = Math.min(best, performance.now() - start);
  }
  return (rounds * 96) / (best * 1e6);
}

/**
 * A contender does `calls` calls of `steps` steps of all streams. The loop is its own, for one that ran both would be compiled for
 * neither.
 */
interface Contender {
  readonly steps: number;
  readonly run: (calls: number) => void | Promise<void>;
}

async function timeCalls({ run }: Contender, calls: number): Promise<number> {
  const start = performance.now();
  const pending = run(calls);
  if (pending !== undefined) await pending;
  return performance.now() - start;
}

/** Nanoseconds a stream-step of each contender, in turns. */
async function race(contenders: readonly Contender[], N: number, rounds: number): Promise<number[]> {
  const calls: number[] = [];
  for (const contender of contenders) {
    // Warm, and long enough for V8 to compile what is hot.
    let took = 0;
    let count = 1;
    for (let spent = 0; spent < WARMING_MS || took < READING_MS; spent += took) {
      took = await timeCalls(contender, count);
      if (took < READING_MS) count *= 2;
    }
    calls.push(count);
  }
  const readings = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [k, contender] of contenders.entries()) {
      const ms = await timeCalls(contender, calls[k]!);
      readings[k]!.push((ms * 1e6) / (calls[k]! * contender.steps * N));
    }
  }
  return readings.map(median);
}

function nativeContender(network: RecurrentNetwork, N: number): Contender {
  const { slots, x, y } = network.lend();
  return {
    steps: 1,
    run: (calls) => {
      for (let i = 0; i < calls; i++) network.step(slots, N, 1, x, y);
    },
  };
}

interface OnnxCell {
  readonly contenders: Contender[];
  /** One step of all streams from states of zeros. */
  readonly first: () => Promise<Float32Array>;
  readonly close: () => Promise<void>;
}

async function openOnnxCell(ort: typeof onnxruntime, weights: NetworkWeights, N: number, x: Float32Array): Promise<OnnxCell> {
  const session = await ort.InferenceSession.create(encodeCell(weights), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
  });
  const H = weights.layers[0]!.Wh.shape[0]!;
  const states = session.inputNames.filter((name) => name !== "x").map((name) => [name, name.replace("_in", "_out")] as const);
  const blank = (): Record<string, onnxruntime.Tensor> =>
    Object.fromEntries(states.map(([name]) => [name, new ort.Tensor("float32", new Float32Array(N * H), [1, N, H])]));
  const contender = (steps: number): Contender => {
    const readings = Float32Array.from({ length: steps * N * D }, (_, i) => x[i % (N * D)]!);
    const feeds: Record<string, onnxruntime.Tensor> = { x: new ort.Tensor("float32", readings, [steps, N, D]), ...blank() };
    return {
      steps,
      run: async (calls) => {
        for (let i = 0; i < calls; i++) {
          const results = await session.run(feeds);
          // Each call carries on from the states of the last.
          for (const [name, next] of states) feeds[name] = results[next]!;
        }
      },
    };
  };
  return {
    contenders: [contender(1), contender(CHUNK)],
    first: async () => {
      const results = await session.run({ x: new ort.Tensor("float32", x, [1, N, D]), ...blank() });
      return results["y"]!.data as Float32Array;
    },
    close: () => session.release(),
  };
}

async function loadOnnxruntime(): Promise<typeof onnxruntime | undefined> {
  try {
    return await import("onnxruntime-node");
  } catch {
    return undefined;
  }
}

async function measureRow(plan: Plan, cell: Cell, H: number, N: number, ort: typeof onnxruntime | undefined): Promise<Row> {
  const weights = randomNetwork(cell, H);
  const network = openNetwork(weights, { kernel: plan.kernel });
  network.reserve(N);
  const random = createRandom(N);
  const x = Float32Array.from({ length: N * D }, () => random.normal());
  const lent = network.lend();
  lent.x.set(x);
  for (let n = 0; n < N; n++) lent.slots[n] = n;
  const native = nativeContender(network, N);
  const onnx = ort && (await openOnnxCell(ort, weights, N, x));
  if (onnx !== undefined) {
    await native.run(1);
    const theirs = await onnx.first();
    for (let i = 0; i < N * O; i++)
      assert(Math.abs(lent.y[i]! - theirs[i]!) < 1e-5, `${cell} ${H}: output ${i} differs from onnxruntime's`);
  }
  const peak = peakGflops();
  const [nativeNs, onnxNs = null, onnxChunkNs = null] = await race([native, ...(onnx?.contenders ?? [])], N, plan.rounds);
  await onnx?.close();
  const gflops = (2 * (D + H) * gatesOf(weights.layers[0]!) * H + 2 * H * O) / nativeNs!;
  return {
    cell,
    hidden: H,
    batch: N,
    nativeNs: nativeNs!,
    onnxNs,
    ratio: onnxNs === null ? null : onnxNs / nativeNs!,
    onnxChunkNs,
    gflops,
    peakShare: gflops / ((peak + peakGflops()) / 2),
    kernel: kernelVersions[plan.kernel],
  };
}

/** Bytes that one stream takes of a GRU of 32 units with 100,000 streams, beyond the network's own. */
export function bytesPerStream(kernel: Kernel): number {
  const network = openNetwork(randomNetwork("gru", 32), { kernel });
  const before = network.bytes;
  network.reserve(100_000);
  return (network.bytes - before) / 100_000;
}

export async function measureRows(plan: Plan): Promise<{ rows: Row[]; peak: number; onnxruntime: string | null }> {
  const ort = await loadOnnxruntime();
  const rows: Row[] = [];
  for (const cell of plan.cells) {
    for (const H of plan.hidden) for (const N of plan.batches) rows.push(await measureRow(plan, cell, H, N, ort));
  }
  return { rows, peak: peakGflops(), onnxruntime: ort?.env.versions.node ?? null };
}
