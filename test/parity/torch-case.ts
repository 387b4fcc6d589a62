// Runs one PyTorch case in one number format and measures how far every tensor is from PyTorch's.
import { sameShape } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import { CrossEntropy } from "../../src/nn/cross-entropy.ts";
import { GaussianNLL } from "../../src/nn/gaussian-nll.ts";
import type { Loss } from "../../src/nn/loss.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import { decodeStates, decodeTargets, decodeTensor, decodeTransposed } from "./torch-format.ts";
import type { NumberFormat, TorchCase, TorchGradCase, TorchOptCase } from "./torch-format.ts";
import { networkGap, TorchNetwork } from "./torch-network.ts";
import { createOptimizer, TorchTraining } from "./torch-training.ts";

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
  switch (kind) {
    case "mse":
    case "mse_masked":
      return new MeanSquaredError();
    case "gaussian_nll":
      return new GaussianNLL();
    case "ce":
      return new CrossEntropy();
    case "ce_last":
      return new CrossEntropy({ steps: "last" });
    default:
      return undefined;
  }
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

/** Chunk after chunk with a carried state; gradients of each chunk alone. */
function runGradCase<A extends FloatArray>(
  torchCase: TorchGradCase,
  format: NumberFormat<A>,
  loss: Loss<A>,
  comparison: Comparison,
): void {
  const network = new TorchNetwork(format, torchCase);
  network.setStates(decodeStates(format, torchCase.state0));
  torchCase.chunks.forEach((chunk, index) => {
    const { x, expect, grads } = chunk;
    const at = `chunk ${index + 1} `;
    const ys = network.forward(decodeTransposed(format, x, "x"));
    comparison.number(`${at}loss`, loss.forward(ys, decodeTargets(format, chunk)), expect.loss_f64);
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

/** After this many steps a second training is built from what the first one saved, and goes on beside it. */
const RESUME_AFTER = 2;

/** Step after step of an optimizer, and again from the third on by a training that was resumed. */
function runOptCase<A extends FloatArray>(
  torchCase: TorchOptCase,
  format: NumberFormat<A>,
  loss: Loss<A>,
  comparison: Comparison,
): void {
  const training = new TorchTraining(format, torchCase);
  let resumed: TorchTraining<A> | undefined;
  torchCase.steps.forEach((expected, index) => {
    compareStep(training, index, expected, loss, comparison, "");
    if (resumed !== undefined) compareStep(resumed, index, expected, loss, comparison, "resumed ");
    if (index + 1 === RESUME_AFTER) resumed = new TorchTraining(format, torchCase, structuredClone(training.save()));
  });
  compareMoments(training, comparison, "");
  if (resumed === undefined) return;
  compareMoments(resumed, comparison, "resumed ");
  training.network.params.forEach(({ name, value }, index) => {
    const differing = Array.from(resumed!.network.params[index]!.value.data).filter((bits, i) => !Object.is(bits, value.data[i]));
    comparison.number(`resumed bits of ${name}`, differing.length, 0);
  });
}

function compareStep<A extends FloatArray>(
  training: TorchTraining<A>,
  index: number,
  expected: TorchOptCase["steps"][number],
  loss: Loss<A>,
  comparison: Comparison,
  run: string,
): void {
  const at = `${run}step ${index + 1} `;
  const { format, network } = training;
  const taken = training.step(index, loss);
  comparison.number(`${at}loss`, taken.loss, expected.loss_f64);
  comparison.number(`${at}gradient norm`, taken.norm, expected.grad_norm_f64);
  comparison.number(`${at}clipped`, Number(taken.clipped), Number(expected.clipped));
  comparison.states(`${at}final state`, network.getStates(), decodeStates(format, expected.final_state));
  for (const { name, value } of network.params) {
    comparison.tensor(`${at}${name}`, value, decodeTransposed(format, expected.params_after[name], name));
  }
}

function compareMoments<A extends FloatArray>(training: TorchTraining<A>, comparison: Comparison, run: string): void {
  const { format, network, optimizer, torchCase } = training;
  network.params.forEach(({ name }, index) => {
    for (const [kind, expected] of Object.entries(torchCase.optimizer_state_after[name] ?? {})) {
      if (expected === null) continue;
      comparison.tensor(`${run}${kind} of ${name}`, optimizer.state[kind]?.[index], decodeTransposed(format, expected, kind));
    }
  });
}
