// Random networks for the kernel tests, and the judge of them: one step of one row in float64, written with nothing but Math.
import type { Random } from "../../src/base/random.ts";
import { gatesOf, stateLengths, targetsOf } from "../../src/kernels/network-weights.ts";
import type { CellLayer, HeadKind, NetworkWeights } from "../../src/kernels/network-weights.ts";
import { countOf, tensor } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";

export const cellNames = ["tanh", "relu", "gru", "gru-reset-first", "lstm"] as const;
export type CellName = (typeof cellNames)[number];

export interface Shape {
  readonly D: number;
  readonly O: number;
  readonly layers: readonly { readonly cell: CellName; readonly H: number }[];
  readonly residual: boolean;
  /** A regression unless given; a Gaussian head takes an even O. */
  readonly headKind?: HeadKind;
}

function uniform(random: Random, shape: readonly number[], around: number, spread: number): Tensor {
  return tensor(
    Float32Array.from({ length: countOf(shape) }, () => around + spread * (2 * random.next() - 1)),
    shape,
  );
}

export function randomLayer(random: Random, cell: CellName, D: number, H: number): CellLayer {
  const G = cell === "lstm" ? 4 : cell === "tanh" || cell === "relu" ? 1 : 3;
  // Small enough that no network is chaotic and relu does not run away.
  const weights = {
    Wx: uniform(random, [D, G * H], 0, 1 / Math.sqrt(D)),
    Wh: uniform(random, [H, G * H], 0, (cell === "relu" ? 0.7 : 1) / Math.sqrt(H)),
    b: uniform(random, [G * H], 0, 0.3),
  };
  if (cell === "lstm") return { cell: "lstm", ...weights };
  if (cell === "tanh" || cell === "relu") return { cell: "rnn", activation: cell, ...weights };
  return { cell: "gru", linearBeforeReset: cell === "gru", ...weights, bn: uniform(random, [H], 0, 0.3) };
}

export function randomNetwork(random: Random, shape: Shape): NetworkWeights {
  const { D, O, layers, residual, headKind = "regression" } = shape;
  const K = targetsOf(headKind, O);
  let width = D;
  const cells = layers.map(({ cell, H }) => {
    const layer = randomLayer(random, cell, width, H);
    width = H;
    return layer;
  });
  return {
    xMean: uniform(random, [D], 0, 2),
    xScale: uniform(random, [D], 2, 0.5),
    layers: cells,
    head: { W: uniform(random, [width, O], 0, 1 / Math.sqrt(width)), b: uniform(random, [O], 0, 0.5) },
    headKind,
    yMean: uniform(random, [K], 0, 2),
    yScale: uniform(random, [K], 2, 0.5),
    residual: residual ? Int32Array.from({ length: K }, () => random.uint32() % D) : new Int32Array(),
  };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** row W + bias, (width). */
function product(row: readonly number[], W: Tensor, bias: ArrayLike<number>): number[] {
  const width = bias.length;
  return Array.from(bias, (start, j) => row.reduce((sum, value, i) => sum + value * W.data[i * width + j]!, start));
}

/** One step of a layer: its state tensors before, and after. */
function layerStep(layer: CellLayer, x: readonly number[], state: readonly number[][]): number[][] {
  const h = state[0]!;
  const H = h.length;
  const none = new Float32Array(gatesOf(layer) * H);
  const fromX = product(x, layer.Wx, layer.b.data);
  const fromH = product(h, layer.Wh, none);
  const sum = (gate: number, j: number): number => fromX[gate * H + j]! + fromH[gate * H + j]!;
  const units = Array.from(h.keys());
  switch (layer.cell) {
    case "rnn":
      return [units.map((j) => (layer.activation === "tanh" ? Math.tanh(sum(0, j)) : Math.max(0, sum(0, j))))];
    case "lstm": {
      const c = units.map((j) => sigmoid(sum(1, j)) * state[1]![j]! + sigmoid(sum(0, j)) * Math.tanh(sum(2, j)));
      return [units.map((j) => sigmoid(sum(3, j)) * Math.tanh(c[j]!)), c];
    }
    case "gru": {
      const r = units.map((j) => sigmoid(sum(0, j)));
      const z = units.map((j) => sigmoid(sum(1, j)));
      const bn = layer.bn.data;
      const reset = product(
        h.map((value, j) => r[j]! * value),
        layer.Wh,
        none,
      );
      const n = units.map((j) =>
        Math.tanh(
          fromX[2 * H + j]! + (layer.linearBeforeReset ? r[j]! * (fromH[2 * H + j]! + bn[j]!) : reset[2 * H + j]! + bn[j]!),
        ),
      );
      return [units.map((j) => (1 - z[j]!) * n[j]! + z[j]! * h[j]!)];
    }
  }
}

/** One stream through a network in float64: the states it has, and a step. */
export class ReferenceStream {
  readonly #weights: NetworkWeights;
  states: number[][];

  constructor(weights: NetworkWeights) {
    this.#weights = weights;
    this.states = stateLengths(weights.layers).map((length) => Array.from({ length }, () => 0));
  }

  step(x: ArrayLike<number>): number[] {
    const { xMean, xScale, layers, head, headKind, yMean, yScale, residual } = this.#weights;
    let row = Array.from(x, (value, i) => (value - xMean.data[i]!) / xScale.data[i]!);
    let at = 0;
    for (const layer of layers) {
      const count = layer.cell === "lstm" ? 2 : 1;
      const next = layerStep(layer, row, this.states.slice(at, at + count));
      this.states.splice(at, count, ...next);
      row = next[0]!;
      at += count;
    }
    const sums = product(row, head.W, head.b.data);
    if (headKind === "classifier") {
      const powers = sums.map((value) => Math.exp(value - Math.max(...sums)));
      return powers.map((value) => value / powers.reduce((sum, power) => sum + power, 0));
    }
    const K = yMean.data.length;
    return sums.map((value, o) =>
      o < K
        ? value * yScale.data[o]! + yMean.data[o]! + (residual.length > 0 ? x[residual[o]!]! : 0)
        : Math.exp(value / 2) * yScale.data[o - K]!,
    );
  }
}
