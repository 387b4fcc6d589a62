// Runs one PyTorch case in one number format and measures how far every tensor is from PyTorch's.
import { sameShape } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import { Adam } from "../../src/nn/adam.ts";
import { clipGradients } from "../../src/nn/clip-gradients.ts";
import type { Loss } from "../../src/nn/loss.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import type { Optimizer } from "../../src/nn/optimizer.ts";
import { SGD } from "../../src/nn/sgd.ts";
import { decodeTensor, transposed } from "./torch-format.ts";
import type { NumberFormat, TorchCase, TorchGradCase, TorchOptCase, TorchTensor, TorchTensors } from "./torch-format.ts";
import { networkGap, TorchNetwork } from "./torch-network.ts";

/** The largest |a - b| that is no failure, for PyTorch's b; from the README beside the vectors. */
export type Tolerance = (expected: number) => number;
export const float32Tolerance: Tolerance = (b) => 2e-5 + 2e-5 * Math.abs(b);
export const float64Tolerance: Tolerance = (b) => 2e-6 * Math.max(1, Math.abs(b));

export interface Deviation {
  /** Values compared. */
  count: number;
  /** The largest |a - b|; infinite where a value is missing or NaN. */
  error: number;
  /** The largest |a - b| / tolerance(b): over 1 is a failure. */
  ratio: number;
  /** Which tensor has the largest ratio. */
  at: string;
}

class Comparison {
  readonly deviation: Deviation = { count: 0, error: 0, ratio: 0, at: "" };
  readonly #tolerance: Tolerance;

  constructor(tolerance: Tolerance) {
    this.#tolerance = tolerance;
  }

  number(name: string, actual: number, expected: number): void {
    const { deviation } = this;
    const difference = Math.abs(actual - expected);
    const error = Number.isNaN(difference) ? Infinity : difference;
    const ratio = error / this.#tolerance(expected);
    deviation.count++;
    deviation.error = Math.max(deviation.error, error);
    if (ratio >= deviation.ratio) {
      deviation.ratio = ratio;
      deviation.at = name;
    }
  }

  tensor(name: string, actual: Tensor<FloatArray> | undefined, expected: Tensor<FloatArray>): void {
    if (actual === undefined || !sameShape(actual.shape, expected.shape)) {
      this.number(`${name} of shape (${actual?.shape.join(", ") ?? "none"})`, Number.NaN, 0);
      return;
    }
    for (let i = 0; i < expected.data.length; i++) this.number(name, actual.data[i]!, expected.data[i]!);
  }

  states(name: string, actual: readonly Tensor<FloatArray>[], expected: readonly Tensor<FloatArray>[]): void {
    expected.forEach((state, index) => this.tensor(`${name} ${index === 0 ? "h" : "c"}`, actual[index], state));
  }
}

function createLoss<A extends FloatArray>(kind: string): Loss<A> | undefined {
  return kind === "mse" ? new MeanSquaredError<A>() : undefined;
}

interface NamedOptimizer<A extends FloatArray> {
  readonly optimizer: Optimizer<A>;
  /** Its state under PyTorch's names: one tensor for each parameter, or none. */
  readonly state: Readonly<Record<string, readonly Tensor<A>[]>>;
}

function createOptimizer<A extends FloatArray>(
  torchCase: TorchOptCase,
  params: readonly Tensor<A>[],
): NamedOptimizer<A> | undefined {
  const { optimizer: kind, hyper } = torchCase;
  const value = (name: string, otherwise: number): number => Number(hyper[name] ?? otherwise);
  const learningRate = value("lr", Number.NaN);
  if (kind === "sgd") {
    const optimizer = new SGD(params, {
      learningRate,
      momentum: value("momentum", 0),
      dampening: value("dampening", 0),
      nesterov: hyper["nesterov"] === true,
      weightDecay: value("weight_decay", 0),
    });
    return { optimizer, state: { momentum_buffer: optimizer.velocities } };
  }
  if (kind !== "adam" && kind !== "adamw") return undefined;
  const [beta1, beta2] = Array.isArray(hyper["betas"]) ? hyper["betas"].map(Number) : [0.9, 0.999];
  const optimizer = new Adam(params, {
    learningRate,
    betas: [beta1!, beta2!],
    epsilon: value("eps", 1e-8),
    weightDecay: value("weight_decay", kind === "adamw" ? 0.01 : 0),
    decayOf: kind === "adamw" ? "param" : "gradient",
    amsgrad: hyper["amsgrad"] === true,
  });
  const state = {
    exp_avg: optimizer.firstMoments,
    exp_avg_sq: optimizer.secondMoments,
    max_exp_avg_sq: optimizer.secondMomentsMax,
  };
  return { optimizer, state };
}

/** What a case needs that is not there yet; undefined where it can be run. */
export function torchCaseGap(torchCase: TorchCase): string | undefined {
  const gap = networkGap(torchCase);
  if (gap !== undefined) return gap;
  if (createLoss(torchCase.loss_kind) === undefined) return `loss ${torchCase.loss_kind}`;
  if (torchCase.type === "opt" && createOptimizer(torchCase, []) === undefined) return `optimizer ${torchCase.optimizer}`;
  return undefined;
}

/** Runs a case that has no gap. */
export function runTorchCase<A extends FloatArray>(
  torchCase: TorchCase,
  format: NumberFormat<A>,
  tolerance: Tolerance,
): Deviation {
  const comparison = new Comparison(tolerance);
  const loss = createLoss<A>(torchCase.loss_kind)!;
  if (torchCase.type === "grad") runGradCase(torchCase, format, loss, comparison);
  else runOptCase(torchCase, format, loss, comparison);
  return comparison.deviation;
}

/** A tensor with its first two axes brought into our order. */
function decodeTransposed<A extends FloatArray>(format: NumberFormat<A>, from: TorchTensor | undefined, name: string): Tensor<A> {
  return transposed(format, decodeTensor(format, from, name));
}

/** h and, where there is one, c. */
function decodeStates<A extends FloatArray>(format: NumberFormat<A>, states: TorchTensors): Tensor<A>[] {
  const h = decodeTensor(format, states["h"], "h of a state");
  return states["c"] === undefined ? [h] : [h, decodeTensor(format, states["c"], "c of a state")];
}

/** Chunk after chunk with a carried state; gradients of each chunk alone. */
function runGradCase<A extends FloatArray>(
  torchCase: TorchGradCase,
  format: NumberFormat<A>,
  loss: Loss<A>,
  comparison: Comparison,
): void {
  const network = new TorchNetwork(format, torchCase);
  network.setStates(decodeStates(format, torchCase.state0));
  torchCase.chunks.forEach(({ x, target, expect, grads }, index) => {
    const at = `chunk ${index + 1} `;
    const ys = network.forward(decodeTransposed(format, x, "x"));
    comparison.number(`${at}loss`, loss.forward(ys, decodeTransposed(format, target, "target")), expect.loss_f64);
    comparison.tensor(`${at}y`, ys, decodeTransposed(format, expect["y"], "y"));
    if (expect["rnn_out"] !== undefined) {
      comparison.tensor(`${at}rnn_out`, network.hs, decodeTransposed(format, expect["rnn_out"], "rnn_out"));
    }
    const states = network.getStates();
    comparison.tensor(`${at}hT`, states[0], decodeTensor(format, expect["hT"], "hT"));
    if (expect["cT"] !== undefined) comparison.tensor(`${at}cT`, states[1], decodeTensor(format, expect["cT"], "cT"));
    comparison.tensor(`${at}dx`, network.backward(loss.backward()), decodeTransposed(format, expect["dx"], "dx"));
    const [dh, dc] = network.stateGradients;
    comparison.tensor(`${at}dh0`, dh, decodeTensor(format, expect["dh0"], "dh0"));
    if (expect["dc0"] !== undefined) comparison.tensor(`${at}dc0`, dc, decodeTensor(format, expect["dc0"], "dc0"));
    for (const { name, grad } of network.params) {
      comparison.tensor(`${at}grad ${name}`, grad, decodeTransposed(format, grads[name], `grad ${name}`));
    }
  });
}

/** Step after step of an optimizer; without `stateful` every step sees the first data from the first state. */
function runOptCase<A extends FloatArray>(
  torchCase: TorchOptCase,
  format: NumberFormat<A>,
  loss: Loss<A>,
  comparison: Comparison,
): void {
  const network = new TorchNetwork(format, torchCase);
  const { optimizer, state } = createOptimizer(
    torchCase,
    network.params.map(({ value }) => value),
  )!;
  const grads = network.params.map(({ grad }) => grad);
  const clip = torchCase.clip_grad_norm ?? Infinity;
  torchCase.steps.forEach((expected, index) => {
    const at = `step ${index + 1} `;
    const { x, target } = torchCase.data[torchCase.stateful ? index : 0]!;
    if (index === 0 || !torchCase.stateful) network.setStates(decodeStates(format, torchCase.state0));
    const ys = network.forward(decodeTransposed(format, x, "x"));
    comparison.number(`${at}loss`, loss.forward(ys, decodeTransposed(format, target, "target")), expected.loss_f64);
    network.backward(loss.backward());
    const norm = clipGradients(grads, clip);
    comparison.number(`${at}gradient norm`, norm, expected.grad_norm_f64);
    comparison.number(`${at}clipped`, Number(norm > clip), Number(expected.clipped));
    comparison.states(`${at}final state`, network.getStates(), decodeStates(format, expected.final_state));
    optimizer.step(grads);
    network.load();
    for (const { name, value } of network.params) {
      comparison.tensor(`${at}${name}`, value, decodeTransposed(format, expected.params_after[name], name));
    }
  });
  network.params.forEach(({ name }, index) => {
    for (const [kind, expected] of Object.entries(torchCase.optimizer_state_after[name] ?? {})) {
      if (expected === null) continue;
      comparison.tensor(`${kind} of ${name}`, state[kind]?.[index], decodeTransposed(format, expected, kind));
    }
  });
}
