// PyTorch's network out of our layers: a stack of recurrent layers and a linear head, with parameters under PyTorch's names.
import { zerosLike } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import type { RecurrentLayer } from "../../src/nn/layer.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeGRU } from "../../src/nn/time-gru.ts";
import { TimeLSTM } from "../../src/nn/time-lstm.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { decodeTensor, layerOf, transposed } from "./torch-format.ts";
import type { NumberFormat, TorchCase } from "./torch-format.ts";

/** A parameter of PyTorch's in our layout, `(in, out)`. */
export interface NamedParam<A extends FloatArray> {
  readonly name: string;
  readonly value: Tensor<A>;
  readonly grad: Tensor<A>;
}

interface Cell<A extends FloatArray> {
  readonly layer: RecurrentLayer<A>;
  readonly params: readonly NamedParam<A>[];
  /** Brings changed parameters into the layer. */
  load(): void;
  /** Brings the layer's gradients out to the parameters. */
  takeGradients(): void;
}

const gates: Readonly<Record<string, number>> = { rnn_tanh: 1, rnn_relu: 1, gru: 3, lstm: 4 };

function createLayer<A extends FloatArray>(cell: string, Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>): RecurrentLayer<A> {
  const stateful = true;
  if (cell === "lstm") return new TimeLSTM(Wx, Wh, b, { stateful });
  if (cell === "gru") return new TimeGRU(Wx, Wh, b, zerosLike(b, [Wh.shape[0]!]), { stateful });
  return new TimeRNN(Wx, Wh, b, { stateful, activation: cell === "rnn_relu" ? "relu" : "tanh" });
}

/**
 * PyTorch has two biases where a cell needs one, except in a GRU's n. Both get its gradient, and an optimizer moves each by its own
 * history, so they are kept apart here, and their sum is what the layer has.
 */
function createCell<A extends FloatArray>(format: NumberFormat<A>, torchCase: TorchCase, index: number): Cell<A> {
  const take = (kind: string): NamedParam<A> => {
    const name = `rnn.${kind}_l${index}`;
    const value = transposed(format, decodeTensor(format, torchCase.params[name], name));
    return { name, value, grad: zerosLike(value, value.shape) };
  };
  const H = torchCase.hidden_size;
  const columns = gates[torchCase.cell]! * H;
  const [Wx, Wh] = [take("weight_ih"), take("weight_hh")];
  const biases = torchCase.bias ? ([take("bias_ih"), take("bias_hh")] as const) : undefined;
  const layer = createLayer(torchCase.cell, Wx.value, Wh.value, zerosLike(Wx.value, [columns]));
  const [, , b, bn] = layer.params;
  const [gradWx, gradWh, gradB, gradBn] = layer.grads;
  /** From here on PyTorch's second bias is a bias of its own. */
  const shared = bn === undefined ? columns : 2 * H;
  return {
    layer,
    params: [Wx, Wh, ...(biases ?? [])],
    load() {
      if (biases === undefined) return;
      const [input, state] = biases.map(({ value }) => value.data) as [A, A];
      for (let j = 0; j < columns; j++) b!.data[j] = input[j]! + (j < shared ? state[j]! : 0);
      for (let j = shared; j < columns; j++) bn!.data[j - shared] = state[j]!;
    },
    takeGradients() {
      Wx.grad.data.set(gradWx!.data);
      Wh.grad.data.set(gradWh!.data);
      if (biases === undefined) return;
      for (const { grad } of biases) grad.data.set(gradB!.data);
      if (gradBn !== undefined) biases[1].grad.data.set(gradBn.data, shared);
    },
  };
}

/** Why the network of a case cannot be built yet; undefined where it can. */
export function networkGap({ cell }: TorchCase): string | undefined {
  return gates[cell] === undefined ? `cell ${cell}` : undefined;
}

export class TorchNetwork<A extends FloatArray> {
  readonly params: readonly NamedParam<A>[];
  /** After a forward: what the last recurrent layer put out, `(N, T, H)`. */
  hs: Tensor<A> | undefined;
  readonly #format: NumberFormat<A>;
  readonly #cells: readonly Cell<A>[];
  readonly #head: TimeAffine<A>;

  constructor(format: NumberFormat<A>, torchCase: TorchCase) {
    this.#format = format;
    this.#cells = Array.from({ length: torchCase.layers }, (_, index) => createCell(format, torchCase, index));
    const W = transposed(format, decodeTensor(format, torchCase.params["head.weight"], "head.weight"));
    const b = decodeTensor(format, torchCase.params["head.bias"], "head.bias");
    this.#head = new TimeAffine(W, b);
    const head = ["head.weight", "head.bias"].map((name, i) => ({
      name,
      value: this.#head.params[i]!,
      grad: this.#head.grads[i]!,
    }));
    this.params = [...this.#cells.flatMap((cell) => cell.params), ...head];
    this.load();
  }

  load(): void {
    for (const cell of this.#cells) cell.load();
  }

  forward(xs: Tensor<A>): Tensor<A> {
    let hs = xs;
    for (const { layer } of this.#cells) hs = layer.forward(hs);
    this.hs = hs;
    return this.#head.forward(hs);
  }

  backward(dys: Tensor<A>): Tensor<A> {
    let ds = this.#head.backward(dys);
    for (const cell of this.#cells.toReversed()) {
      ds = cell.layer.backward(ds);
      cell.takeGradients();
    }
    return ds;
  }

  /** h and, for an LSTM, c, `(L, N, H)` each. */
  setStates(states: readonly Tensor<A>[]): void {
    this.#cells.forEach(({ layer }, index) => layer.setStates(states.map((state) => layerOf(this.#format, state, index))));
  }

  /** In the same order. */
  getStates(): Tensor<A>[] {
    return this.#stack(this.#cells.map(({ layer }) => layer.getStates()!));
  }

  /** The gradients by the states before the first step, in the same order. */
  get stateGradients(): Tensor<A>[] {
    return this.#stack(this.#cells.map(({ layer }) => layer.stateGradients));
  }

  #stack(layers: readonly (readonly Tensor<A>[])[]): Tensor<A>[] {
    return layers[0]!.map(({ shape }, index) => {
      const values = layers.flatMap((states) => Array.from(states[index]!.data));
      return { shape: [layers.length, ...shape], data: this.#format.from(values) };
    });
  }
}
