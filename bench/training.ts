// One update of truncated backpropagation, ours and PyTorch's in turns: npm run bench:training -- [--json] [--cells rnn,gru,lstm]
// [--hidden 16,32,64,128] [--batches 1,32] [--rounds 9] [--kernel relaxed|plain|scalar] [--python /usr/bin/python3]. T = 50, D = O = 8;
// forward, mean squared error, backward, clipping and Adam through the public layers, on both sides without the gradient by the data. Where
// Python has no torch, only ours is printed.
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRandom } from "../src/base/random.ts";
import type { Random } from "../src/base/random.ts";
import { fastestKernel } from "../src/kernels/open-network.ts";
import { kernelVersions } from "../src/kernels/recurrent-network.ts";
import type { Kernel } from "../src/kernels/recurrent-network.ts";
import { zeros } from "../src/kernels/tensor.ts";
import type { Tensor } from "../src/kernels/tensor.ts";
import { Adam } from "../src/nn/adam.ts";
import { clipGradients } from "../src/nn/clip-gradients.ts";
import { fillUniform } from "../src/nn/initializers.ts";
import type { RecurrentLayer } from "../src/nn/layer.ts";
import { MeanSquaredError } from "../src/nn/mean-squared-error.ts";
import { TimeAffine } from "../src/nn/time-affine.ts";
import { TimeGRU } from "../src/nn/time-gru.ts";
import { TimeLSTM } from "../src/nn/time-lstm.ts";
import { TimeRNN } from "../src/nn/time-rnn.ts";
import { median } from "./median.ts";
import type { Cell } from "./kernel-rows.ts";

const [D, O, T] = [8, 8, 50];
/** Milliseconds that a contender runs before it is measured, and that one reading of the clock takes in at least. */
const WARMING_MS = 150;
const READING_MS = 10;

/** Milliseconds an update; the ratio is torchMs / nativeMs. Null where there is no PyTorch. */
interface Row {
  readonly cell: Cell;
  readonly hidden: number;
  readonly batch: number;
  readonly nativeMs: number;
  readonly torchMs: number | null;
  readonly ratio: number | null;
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    cells: { type: "string", default: "rnn,gru,lstm" },
    hidden: { type: "string", default: "16,32,64,128" },
    batches: { type: "string", default: "1,32" },
    rounds: { type: "string", default: "9" },
    kernel: { type: "string", default: fastestKernel() },
    python: { type: "string", default: "/usr/bin/python3" },
  },
});
const numbers = (list: string): number[] => list.split(",").map(Number);
const kernel = values.kernel as Kernel;

function filled(random: Random, shape: readonly number[], bound: number): Tensor {
  const tensor = zeros(shape);
  fillUniform(tensor, bound, random);
  return tensor;
}

function createLayer(cell: Cell, H: number, random: Random): RecurrentLayer {
  const G = { rnn: 1, gru: 3, lstm: 4 }[cell];
  const bound = 1 / Math.sqrt(H);
  const Wx = filled(random, [D, G * H], bound);
  const Wh = filled(random, [H, G * H], bound);
  const b = filled(random, [G * H], bound);
  const options = { stateful: true, kernel };
  if (cell === "rnn") return new TimeRNN(Wx, Wh, b, options);
  return cell === "lstm" ? new TimeLSTM(Wx, Wh, b, options) : new TimeGRU(Wx, Wh, b, filled(random, [H], bound), options);
}

/** Does so many updates, and says how many milliseconds they took. */
type Contender = (updates: number) => number | Promise<number>;

function createNative(cell: Cell, H: number, N: number): Contender {
  const random = createRandom(H);
  const layer = createLayer(cell, H, random);
  const head = new TimeAffine(filled(random, [H, O], 1 / Math.sqrt(H)), zeros([O]), { kernel });
  const loss = new MeanSquaredError();
  const params = [...layer.params, ...head.params];
  const grads = [...layer.grads, ...head.grads];
  const optimizer = new Adam(params, { learningRate: 1e-3, kernel });
  const xs = filled(random, [N, T, D], 1);
  const targets = filled(random, [N, T, O], 1);
  return (updates) => {
    const start = performance.now();
    for (let i = 0; i < updates; i++) {
      loss.forward(head.forward(layer.forward(xs)), targets);
      layer.backwardParams(head.backward(loss.backward()));
      clipGradients(grads, 1, { kernel });
      optimizer.step(grads);
    }
    return performance.now() - start;
  };
}

/** PyTorch in a process of its own, which works only while it is asked. */
class Torch {
  readonly version: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, lines: AsyncIterator<string>, version: string) {
    this.#child = child;
    this.#lines = lines;
    this.version = version;
  }

  /** Undefined where Python or its torch is missing. */
  static async open(python: string): Promise<Torch | undefined> {
    if (!existsSync(python)) return undefined;
    const script = fileURLToPath(new URL("../../bench/torch_update.py", import.meta.url));
    const environment = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
    const child = spawn(python, [script], { stdio: ["pipe", "pipe", "ignore"], env: environment });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    return first.done === true ? undefined : new Torch(child, lines, (JSON.parse(first.value) as { version: string }).version);
  }

  async create(cell: Cell, hidden: number, batch: number): Promise<Contender> {
    await this.#ask({ cell, hidden, batch, inputs: D, outputs: O, steps: T });
    return async (updates) => (await this.#ask({ updates })).ms!;
  }

  close(): void {
    this.#child.stdin.end();
  }

  async #ask(request: object): Promise<{ readonly ms?: number }> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error("PyTorch's process ended");
    return JSON.parse(line.value) as { ms?: number };
  }
}

/** Milliseconds an update of each contender, in turns: the medians. */
async function race(contenders: readonly Contender[]): Promise<number[]> {
  const counts: number[] = [];
  for (const contender of contenders) {
    let count = 1;
    for (let spent = 0, took = 0; spent < WARMING_MS || took < READING_MS; spent += took) {
      took = await contender(count);
      if (took < READING_MS) count *= 2;
    }
    counts.push(count);
  }
  const readings = contenders.map((): number[] => []);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [k, contender] of contenders.entries()) readings[k]!.push((await contender(counts[k]!)) / counts[k]!);
  }
  return readings.map(median);
}

function print({ cell, hidden, batch, nativeMs, torchMs, ratio }: Row): void {
  const columns = [
    cell.padEnd(4),
    String(hidden).padStart(7),
    String(batch).padStart(6),
    nativeMs.toFixed(4).padStart(10),
    (torchMs === null ? "-" : torchMs.toFixed(3)).padStart(9),
    (ratio === null ? "-" : `${ratio.toFixed(ratio < 10 ? 2 : 0)} x`).padStart(8),
  ];
  console.log(columns.join(" "));
}

const torch = await Torch.open(values.python);
if (!values.json) {
  console.log(`${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}, kernel ${kernelVersions[kernel]}`);
  console.log(
    torch === undefined
      ? `${values.python} cannot import torch (Debian: python3-torch, libopenblas0-serial): ours alone`
      : `PyTorch ${torch.version}, 1 thread. Debian's is built without MKL and oneDNN: a weak baseline for large products`,
  );
  console.log("milliseconds an update of T = 50 steps, D = O = 8\n\ncell  hidden  batch     native     torch    ratio");
}
for (const cell of values.cells.split(",") as Cell[]) {
  for (const hidden of numbers(values.hidden)) {
    for (const batch of numbers(values.batches)) {
      const theirs = torch === undefined ? [] : [await torch.create(cell, hidden, batch)];
      const [nativeMs, torchMs = null] = await race([createNative(cell, hidden, batch), ...theirs]);
      const row: Row = {
        cell,
        hidden,
        batch,
        nativeMs: nativeMs!,
        torchMs,
        ratio: torchMs === null ? null : torchMs / nativeMs!,
      };
      if (values.json) console.log(JSON.stringify(row));
      else print(row);
    }
  }
}
torch?.close();
