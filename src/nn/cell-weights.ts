// The weights of a recurrent layer as a list of params, whatever its cell: which there are, which shapes fit, and room for their
// gradients.
import type { CellLayer } from "../kernels/network-weights.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkGates, checkMatrix, checkVector } from "./check-shape.ts";

/** The order in which gates of H columns stand side by side. */
const gateOrders = { gru: "r, z, n", lstm: "i, f, g, o" } as const;

/** Wx, Wh, b and, for a GRU, bn. */
export function cellParams<A extends FloatArray>(layer: CellLayer<A>): Tensor<A>[] {
  const { Wx, Wh, b } = layer;
  return layer.cell === "gru" ? [Wx, Wh, b, layer.bn] : [Wx, Wh, b];
}

/** Zeros of the weights' shapes. */
export function createCellGradients<A extends FloatArray>(layer: CellLayer<A>): CellLayer<A> {
  const zeros = (tensor: Tensor<A>): Tensor<A> => zerosLike(tensor, tensor.shape);
  const all = { Wx: zeros(layer.Wx), Wh: zeros(layer.Wh), b: zeros(layer.b) };
  return layer.cell === "gru" ? { ...layer, ...all, bn: zeros(layer.bn) } : { ...layer, ...all };
}

/** Throws `bad_argument` unless Wx `(D, G * H)`, Wh `(H, G * H)`, b `(G * H)` and bn `(H)` fit each other. `name` is the layer's in errors. */
export function checkCell<A extends FloatArray>(name: string, layer: CellLayer<A>): void {
  const action = `build ${name}`;
  const { Wx, Wh, b } = layer;
  if (layer.cell === "rnn") {
    checkMatrix(action, "Wx", Wx, undefined, undefined);
    const H = Wx.shape[1]!;
    checkMatrix(action, "Wh", Wh, H, H);
    checkVector(action, "b", b, H);
    return;
  }
  const gates = gateOrders[layer.cell];
  const H = checkGates(action, "Wx", Wx, gates);
  const columns = Wx.shape[1]!;
  checkMatrix(action, "Wh", Wh, H, columns);
  checkVector(action, "b", b, columns);
  if (layer.cell === "gru") checkVector(action, "bn", layer.bn, H);
}
