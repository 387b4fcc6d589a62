// A PyTorch optimizer case as a training: a network, an optimizer, one step at a time, and what it takes to stop and go on.
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import { copyTensor } from "../../src/kernels/tensor.ts";
import { Adam } from "../../src/nn/adam.ts";
import { clipGradients } from "../../src/nn/clip-gradients.ts";
import type { Loss } from "../../src/nn/loss.ts";
import type { OptimizerState } from "../../src/nn/optimizer-state.ts";
import type { Optimizer } from "../../src/nn/optimizer.ts";
import { SGD } from "../../src/nn/sgd.ts";
import { decodeStates, decodeTargets, decodeTransposed } from "./torch-format.ts";
import type { NumberFormat, TorchOptCase } from "./torch-format.ts";
import { TorchNetwork } from "./torch-network.ts";

export interface NamedOptimizer<A extends FloatArray> {
  readonly optimizer: Optimizer<A>;
  /** Its state under PyTorch's names: one tensor for each parameter, or none. */
  readonly state: Readonly<Record<string, readonly Tensor<A>[]>>;
}

/** Undefined where the case names an optimizer that is not there. */
export function createOptimizer<A extends FloatArray>(
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

/** Everything that a training needs to go on, apart from its case. */
export interface SavedTraining<A extends FloatArray> {
  readonly params: readonly Tensor<A>[];
  readonly states: readonly Tensor<A>[];
  readonly optimizer: OptimizerState<A>;
}

export interface TakenStep {
  readonly loss: number;
  /** Of the whole gradient, before clipping. */
  readonly norm: number;
  readonly clipped: boolean;
}

export class TorchTraining<A extends FloatArray> {
  readonly format: NumberFormat<A>;
  readonly torchCase: TorchOptCase;
  readonly network: TorchNetwork<A>;
  readonly optimizer: NamedOptimizer<A>;

  /** From the beginning of a case, or from what another training of it saved. */
  constructor(format: NumberFormat<A>, torchCase: TorchOptCase, saved?: SavedTraining<A>) {
    this.format = format;
    this.torchCase = torchCase;
    this.network = new TorchNetwork(format, torchCase);
    const params = this.network.params.map(({ value }) => value);
    this.optimizer = createOptimizer(torchCase, params)!;
    this.network.setStates(saved?.states ?? decodeStates(format, torchCase.state0));
    if (saved === undefined) return;
    saved.params.forEach(({ data }, index) => params[index]!.data.set(data));
    this.network.load();
    this.optimizer.optimizer.setState(saved.optimizer);
  }

  save(): SavedTraining<A> {
    return {
      params: this.network.params.map(({ value }) => copyTensor(value)),
      states: this.network.getStates(),
      optimizer: this.optimizer.optimizer.getState(),
    };
  }

  /** The step `index`, from 0. Without `stateful` every step sees the first data from the first state. */
  step(index: number, loss: Loss<A>): TakenStep {
    const { format, network, torchCase } = this;
    const chunk = torchCase.data[torchCase.stateful ? index : 0]!;
    if (!torchCase.stateful) network.setStates(decodeStates(format, torchCase.state0));
    const value = loss.forward(network.forward(decodeTransposed(format, chunk.x, "x")), decodeTargets(format, chunk));
    network.backward(loss.backward());
    const grads = network.params.map(({ grad }) => grad);
    const clip = torchCase.clip_grad_norm ?? Infinity;
    const norm = clipGradients(grads, clip);
    this.optimizer.optimizer.step(grads);
    network.load();
    return { loss: value, norm, clipped: norm > clip };
  }
}
