// PyTorch's network out of our layers: a stack of recurrent layers and a linear head, with parameters under PyTorch's names. A cell that
// comes later is one more entry of `cells`.
import { copyTensor, zerosLike } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import type { RecurrentLayer } from "../../src/nn/layer.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
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

/**
 * PyTorch has two biases where a tanh cell needs one. Both get its gradient, and an optimizer moves each by its own history, so they are
 * kept apart here, and their sum is what the layer has.
 */
function createTanhCell<A extends FloatArray>(format: NumberFormat<A>, torchCase: TorchCase, index: number): Cell<A> {
  const take = (kind: string): Tensor<A> => {
    const name = `rnn.${kind}_l${index}`;
    return transposed(format, decodeTensor(format, torchCase.params[name], name));
  };
  const Wx = take("weight_ih");
  const Wh = take("weight_hh");
  const biases = torchCase.bias ? [take("bias_ih"), take("bias_hh")] : [];
  const b: Tensor<A> = { shape: [torchCase.hidden_size], data: format.from(new Float64Array(torchCase.hidden_size)) };
  const layer = new TimeRNN(Wx, Wh, b, { stateful: true });
  const [gradWx, gradWh, gradB] = layer.grads;
  const biasParams = biases.map((value, i) => ({
    name: `rnn.${i === 0 ? "bias_ih" : "bias_hh"}_l${index}`,
    value,
    grad: zerosLike(value, value.shape),
  }));
  return {
    layer,
    params: [
      { name: `rnn.weight_ih_l${index}`, value: Wx, grad: gradWx! },
      { name: `rnn.weight_hh_l${index}`, value: Wh, grad: gradWh! },
      ...biasParams,
    ],
    load() {
      for (let j = 0; j < b.data.length; j++) b.data[j] = biases.reduce((sum, bias) => sum + bias.data[j]!, 0);
    },
    takeGradients() {
      for (const { grad } of biasParams) grad.data.set(gradB!.data);
    },
  };
}

const cells: Readonly<Record<string, typeof createTanhCell>> = { rnn_tanh: createTanhCell };

/** Why the network of a case cannot be built yet; undefined where it can. */
export function networkGap({ cell }: TorchCase): string | undefined {
  return cells[cell] === undefined ? `cell ${cell}` : undefined;
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
    const createCell = cells[torchCase.cell]!;
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

  /** h `(L, N, H)` */
  setState(h: Tensor<A>): void {
    this.#cells.forEach(({ layer }, index) => layer.setState(layerOf(this.#format, h, index)));
  }

  /** `(L, N, H)` */
  getState(): Tensor<A> {
    return this.#stack(this.#cells.map(({ layer }) => layer.getState()!));
  }

  /** `(L, N, H)` */
  get dh(): Tensor<A> {
    return this.#stack(this.#cells.map(({ layer }) => copyTensor(layer.dh)));
  }

  #stack(layers: readonly Tensor<A>[]): Tensor<A> {
    const values = layers.flatMap(({ data }) => Array.from(data));
    return { shape: [layers.length, ...layers[0]!.shape], data: this.#format.from(values) };
  }
}
