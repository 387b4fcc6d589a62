// What a network is made of, as the kernels take it: arrays and sizes, nothing of a model's spec or file. And what follows from that
// alone: which shapes fit, and which state tensors a stream has.
import { HiddenstateError } from "../base/errors.ts";
import type { AffineWeights } from "./affine.ts";
import type { GruWeights } from "./step-gru.ts";
import type { LstmWeights } from "./step-lstm.ts";
import type { RnnActivation, RnnWeights } from "./step-rnn.ts";
import { describeShape, sameShape } from "./tensor.ts";
import type { FloatArray, Tensor } from "./tensor.ts";

/** A plain recurrent layer. */
export interface RnnLayer<A extends FloatArray = Float32Array> extends RnnWeights<A> {
  readonly cell: "rnn";
  readonly activation: RnnActivation;
}

/** A GRU layer: `D` inputs, gates r, z, n. */
export interface GruLayer<A extends FloatArray = Float32Array> extends GruWeights<A> {
  readonly cell: "gru";
  /** 1 in PyTorch and cuDNN. */
  readonly linearBeforeReset: boolean;
}

/** An LSTM layer: gates i, f, g, o. */
export interface LstmLayer<A extends FloatArray = Float32Array> extends LstmWeights<A> {
  readonly cell: "lstm";
}

/** A recurrent layer's cell and weights: Wx, Wh and b, and for a GRU bn. */
export type CellLayer<A extends FloatArray = Float32Array> = RnnLayer<A> | GruLayer<A> | LstmLayer<A>;

/**
 * What the head's O sums v = hW + b are. `regression`: K = O targets in standard deviations. `gaussian`: K = O / 2 targets likewise, then
 * the logarithms of their variances. `classifier`: logits of O classes, and K = 0.
 */
export type HeadKind = "regression" | "gaussian" | "classifier";

/**
 * The numbers of v = layers((x - xMean) / xScale) W + b and of y `(O)`: the K means v * yScale + yMean, plus, where `residual` is not empty,
 * x[residual[k]] for each of them; then, if gaussian, the K standard deviations exp(v / 2) * yScale. A classifier's y is softmax(v).
 */
export interface NetworkWeights<A extends FloatArray = Float32Array> {
  /** `(D)`, in the sensors' units. */
  readonly xMean: Tensor<A>;
  readonly xScale: Tensor<A>;
  /** From the bottom; at least one. */
  readonly layers: readonly CellLayer<A>[];
  /** W `(H, O)`, b `(O)`. */
  readonly head: AffineWeights<A>;
  readonly headKind: HeadKind;
  /** `(K)`, in the targets' units. */
  readonly yMean: Tensor<A>;
  readonly yScale: Tensor<A>;
  /** The feature that each mean is a change of, `(K)`; empty where the head is not residual. */
  readonly residual: Int32Array;
}

/** Gates of a layer: G in `(D, G * H)`. */
export function gatesOf(layer: CellLayer<FloatArray>): number {
  return layer.cell === "rnn" ? 1 : layer.cell === "gru" ? 3 : 4;
}

/** A layer's cell as the assembly numbers it (layer.ts there). */
export function cellNumber(layer: CellLayer<FloatArray>): number {
  switch (layer.cell) {
    case "rnn":
      return layer.activation === "tanh" ? 0 : 1;
    case "gru":
      return layer.linearBeforeReset ? 2 : 3;
    case "lstm":
      return 4;
  }
}

/** H. */
export function hiddenOf(layer: CellLayer<FloatArray>): number {
  return layer.Wh.shape[0]!;
}

/** K: how many of O outputs are means, which have a scaling in units. */
export function targetsOf(kind: HeadKind, O: number): number {
  return kind === "regression" ? O : kind === "gaussian" ? O / 2 : 0;
}

/** A stream's state tensors in order: layer after layer, h and then, for an LSTM, c. Each has H values. */
export function stateLengths(layers: readonly CellLayer<FloatArray>[]): number[] {
  return layers.flatMap((layer) => (layer.cell === "lstm" ? [hiddenOf(layer), hiddenOf(layer)] : [hiddenOf(layer)]));
}

function expectShape(name: string, tensor: Tensor<FloatArray>, shape: readonly number[]): void {
  if (sameShape(tensor.shape, shape)) return;
  throw new HiddenstateError(
    "bad_argument",
    `cannot build a network: ${name} has shape ${describeShape(tensor.shape)}, and must have ${describeShape(shape)}`,
  );
}

/** Throws `bad_argument` naming the first tensor that does not fit the others. */
export function checkNetworkWeights<A extends FloatArray>(weights: NetworkWeights<A>): void {
  const { xMean, xScale, layers, head } = weights;
  const D = xMean.data.length;
  const O = head.b.data.length;
  if (D === 0 || O === 0 || layers.length === 0) {
    throw new HiddenstateError("bad_argument", "cannot build a network: it needs an input, a layer and an output at least");
  }
  expectShape("xMean", xMean, [D]);
  expectShape("xScale", xScale, [D]);
  let width = D;
  for (const [index, layer] of layers.entries()) {
    const H = hiddenOf(layer);
    const name = `layer ${index + 1}'s`;
    const columns = gatesOf(layer) * H;
    expectShape(`${name} Wx`, layer.Wx, [width, columns]);
    expectShape(`${name} Wh`, layer.Wh, [H, columns]);
    expectShape(`${name} b`, layer.b, [columns]);
    if (layer.cell === "gru") expectShape(`${name} bn`, layer.bn, [H]);
    width = H;
  }
  expectShape("the head's W", head.W, [width, O]);
  expectShape("the head's b", head.b, [O]);
  checkTargets(weights, D, O);
}

function checkTargets<A extends FloatArray>(weights: NetworkWeights<A>, D: number, O: number): void {
  const { headKind, yMean, yScale, residual } = weights;
  const K = targetsOf(headKind, O);
  if (!Number.isInteger(K)) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot build a network: a gaussian head has a mean and a deviation for each target, and ${O} outputs are not pairs`,
    );
  }
  expectShape("yMean", yMean, [K]);
  expectShape("yScale", yScale, [K]);
  if (residual.length === 0) return;
  if (residual.length !== K) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot build a network: residual has ${residual.length} features for ${K} outputs`,
    );
  }
  const strange = residual.find((feature) => feature < 0 || feature >= D);
  if (strange !== undefined) {
    throw new HiddenstateError("bad_argument", `cannot build a network: residual names feature ${strange}, and there are ${D}`);
  }
}
