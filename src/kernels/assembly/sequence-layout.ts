// Where everything of a run of sequence.ts lies, and in which order the columns of its rows of gates stand.
//
// What all of it turns on is the row of gates, one for each sequence and step (train-cells.ts), with its columns in an order in which both
// products, forward and backward, read and write one window of it:
//
//     RNN                           [ gate ]                             both products write the whole row
//     LSTM                          [ i | f | g | o .... | tanh(c) ]     both write i to o
//     GRU, linear_before_reset = 1  [ h's n | r | z .... | x's n ]       h writes up to the dots, x from r on
//     GRU, linear_before_reset = 0  [ r h | r | z .... | n .... ]        h writes r and z, r h writes n, x writes from r on
//
// Gates are padded to whole quads, and the dots pad windows to whole panels.
import { allocate, reset } from "./memory";
import { NARROW_BYTES } from "./multiply-narrow";
import { PANEL_BYTES } from "./multiply-rows";
import { lastQuadMask } from "./pack";

// Cells, as layer.ts numbers them.
export const RELU = 1, GRU = 2, RESET_GRU = 3, LSTM = 4;

export let cell = 0, D = 0, H = 0, N = 0, T = 0, G = 0;
/** A gate's bytes, and where a row's columns begin: see above. */
export let gateBytes: usize = 0, resetAt: usize = 0, updateAt: usize = 0, lastAt: usize = 0;
/** From row to row of gates, of c and of the caller's h, and of what is carried back, in bytes. */
export let rowBytes: usize = 0, stateBytes: usize = 0, carriedBytes: usize = 0;
/**
 * A row of inputs is [x | h], x and the h before the step, with nothing between them; h begins with a quad. RNN and LSTM take one product
 * of the whole row (`joined`), a GRU one of each part.
 */
export let joined = false, inputBytes: usize = 0;
/** The windows of the products with x and h: where they begin, their panels, and the inputs that they are on the way back. */
export let xAt: usize = 0, hAt: usize = 0, xPanels = 0, hPanels = 0, xInputs = 0, hInputs = 0, resetPanels = 0;

// The numbers as the caller keeps them, and gradients likewise: Wx (D, G H), Wh (H, G H), b (G H), bn (H).
export let numbersWx: usize = 0, numbersWh: usize = 0, numbersB: usize = 0, numbersBn: usize = 0;
export let gradientWx: usize = 0, gradientWh: usize = 0, gradientB: usize = 0, gradientBn: usize = 0;
// Packed: weights by x, h and r h, and what x's products start from; the same transposed. Joined, those by h follow those by x in every
// panel, which has `packedInputsX` = `packedInputsH` = D + H inputs.
export let packedInputsX = 0, packedInputsH = 0;
export let packedX: usize = 0, packedH: usize = 0, packedReset: usize = 0, startX: usize = 0, startN: usize = 0;
export let transposedX: usize = 0, transposedH: usize = 0, transposedReset: usize = 0, zeros: usize = 0, mask: usize = 0;
// Rows of inputs (T + 1, N): their x and their h, the last rows' h being what the last step put out; c likewise, (T + 1, N, H) with nothing
// between; (T, N, gates).
export let xs: usize = 0, hs: usize = 0, cs: usize = 0, gates: usize = 0;
// (T, N, D); (N, H) padded: what goes back from step to step, and what reaches r h.
export let dxs: usize = 0, carried: usize = 0, carriedC: usize = 0, dResetH: usize = 0;
export let dh: usize = 0, dc: usize = 0;
// (N, H): h before the first step, and after the last.
export let firstH: usize = 0, lastH: usize = 0;
// In the caller's order: (N, T, D) and the gradient (N, T, H) come in, (N, T, H) and the gradient (N, T, D) go out.
export let inputs: usize = 0, dOutputs: usize = 0, outputs: usize = 0, dInputs: usize = 0;
// Sums of gradients by packed columns, `sumsBytes` in all from sumsX on: a row for each x, h, r h, and one for the biases.
export let sumsBytes: usize = 0;
export let sumsX: usize = 0, sumsH: usize = 0, sumsReset: usize = 0, sumsB: usize = 0;

@inline
export function padded(bytes: usize, to: usize): usize {
  return (bytes + to - 1) & ~(to - 1);
}

function layOutRow(): void {
  gateBytes = padded(<usize>H << 2, 16);
  resetAt = updateAt = lastAt = xAt = hAt = 0;
  resetPanels = 0;
  if (cell <= RELU) {
    rowBytes = padded(gateBytes, PANEL_BYTES);
    xPanels = hPanels = <i32>(rowBytes / PANEL_BYTES);
    xInputs = hInputs = <i32>(gateBytes >> 2);
  } else if (cell == LSTM) {
    lastAt = padded(4 * gateBytes, PANEL_BYTES);
    rowBytes = lastAt + gateBytes;
    xPanels = hPanels = <i32>(lastAt / PANEL_BYTES);
    xInputs = hInputs = <i32>gateBytes;
  } else {
    resetAt = gateBytes;
    updateAt = 2 * gateBytes;
    xAt = gateBytes;
    if (cell == GRU) {
      lastAt = padded(3 * gateBytes, PANEL_BYTES);
      rowBytes = lastAt + gateBytes;
      hPanels = <i32>(lastAt / PANEL_BYTES);
      hInputs = 3 * <i32>(gateBytes >> 2);
    } else {
      const both = padded(2 * gateBytes, PANEL_BYTES), one = padded(gateBytes, PANEL_BYTES);
      lastAt = gateBytes + both;
      rowBytes = lastAt + one;
      hAt = gateBytes;
      hPanels = <i32>(both / PANEL_BYTES);
      hInputs = 2 * <i32>(gateBytes >> 2);
      resetPanels = <i32>(one / PANEL_BYTES);
    }
    xPanels = <i32>((rowBytes - xAt) / PANEL_BYTES);
    xInputs = <i32>((lastAt + gateBytes - xAt) >> 2);
  }
  // Rows a power of two apart would share a few sets of the cache.
  if ((rowBytes & 511) == 0) rowBytes += PANEL_BYTES;
}

function layOutInputs(rows: usize): void {
  const xBytes = padded(<usize>D << 2, 16);
  joined = cell <= RELU || cell == LSTM;
  packedInputsX = joined ? D + H : D;
  packedInputsH = joined ? D + H : H;
  inputBytes = xBytes + gateBytes;
  if ((inputBytes & 511) == 0) inputBytes += PANEL_BYTES;
  hs = allocate((rows + <usize>N) * inputBytes) + xBytes;
  xs = hs - (<usize>D << 2);
}

function layOutSums(): void {
  const xBytes = <usize>xPanels * PANEL_BYTES, hBytes = <usize>hPanels * PANEL_BYTES, resetBytes = <usize>resetPanels * PANEL_BYTES;
  // Pairs of inputs: an odd number takes one row more.
  const rows = <usize>((H + 1) & ~1), rowsX = joined ? <usize>D : <usize>((D + 1) & ~1);
  const resetAtSum = xBytes * rowsX + hBytes * (rows + 1), biasAt = resetAtSum + resetBytes * rows;
  sumsBytes = biasAt + padded(rowBytes, PANEL_BYTES);
  sumsX = allocate(sumsBytes);
  sumsH = sumsX + xBytes * rowsX;
  sumsReset = sumsX + resetAtSum;
  sumsB = sumsX + biasAt;
}

/** Lays out a run of `count` sequences, over all that this instance has held before. `kind` numbers the cell as layer.ts does. */
export function layOutRun(kind: i32, features: i32, hidden: i32, count: i32, steps: i32): void {
  reset();
  cell = kind; D = features; H = hidden; N = count; T = steps;
  G = cell == LSTM ? 4 : cell >= GRU ? 3 : 1;
  layOutRow();
  const rows = <usize>N * <usize>T, width = <usize>(G * H) << 2;
  layOutInputs(rows);
  stateBytes = <usize>H << 2;
  carriedBytes = padded(gateBytes, PANEL_BYTES);
  numbersWx = allocate(<usize>D * width); numbersWh = allocate(<usize>H * width);
  numbersB = allocate(width); numbersBn = allocate(stateBytes);
  gradientBn = allocate(stateBytes + 16);
  const hBytes = <usize>hPanels * PANEL_BYTES, xBytes = <usize>xPanels * PANEL_BYTES, resetBytes = <usize>resetPanels * PANEL_BYTES;
  packedX = allocate(xBytes * <usize>packedInputsX);
  packedH = joined ? packedX + <usize>D * PANEL_BYTES : allocate(hBytes * <usize>H);
  packedReset = allocate(resetBytes * <usize>H);
  startX = allocate(xBytes); startN = allocate(gateBytes);
  transposedX = allocate(<usize>((D + 7) >> 3) * <usize>xInputs * NARROW_BYTES);
  transposedH = allocate(carriedBytes * <usize>hInputs);
  transposedReset = allocate(resetPanels == 0 ? 0 : carriedBytes * (gateBytes >> 2));
  zeros = allocate(carriedBytes + <usize>((D + 7) & ~7) * 4);
  mask = allocate(16);
  v128.store(mask, lastQuadMask(H));
  dxs = allocate(rows * <usize>D << 2);
  firstH = allocate(<usize>N * stateBytes + 16); lastH = allocate(<usize>N * stateBytes + 16);
  dOutputs = allocate(rows * stateBytes + 16);
  cs = cell == LSTM ? allocate((rows + <usize>N) * stateBytes + 16) : 0;
  gates = allocate(rows * rowBytes + PANEL_BYTES);
  carried = allocate(carriedBytes * <usize>N);
  carriedC = cell == LSTM ? allocate(carriedBytes * <usize>N) : 0;
  dResetH = resetPanels == 0 ? 0 : allocate(carriedBytes * <usize>N);
  dh = allocate(<usize>N * stateBytes + 16); dc = cell == LSTM ? allocate(<usize>N * stateBytes + 16) : 0;
  inputs = allocate((rows * <usize>D << 2) + 16);
  outputs = allocate(rows * stateBytes + 16); dInputs = allocate((rows * <usize>D << 2) + 16);
  layOutSums();
  if (joined && xBytes == width) {
    // Without padding the sums are the gradients as the caller keeps them.
    gradientWx = sumsX; gradientWh = sumsH; gradientB = sumsB;
  } else {
    gradientWx = allocate(<usize>D * width + 16); gradientWh = allocate(<usize>H * width + 16);
    gradientB = allocate(width + 16);
  }
}

/** Where an array of the run lies. Gradients by states, dh (6) and dc (7), are (N, H); the others as above. */
export function arrayAt(name: i32): usize {
  switch (name) {
    case 0: return numbersWx;
    case 1: return numbersWh;
    case 2: return numbersB;
    case 3: return numbersBn;
    case 4: return gradientWx;
    case 5: return gradientWh;
    case 6: return gradientB;
    case 7: return gradientBn;
    case 8: return firstH;
    case 9: return lastH;
    case 10: return cs;
    case 11: return dOutputs;
    case 12: return dh;
    case 13: return dc;
    case 14: return outputs;
    case 15: return dInputs;
    default: return inputs;
  }
}

/** Where in a row of gates the product with x writes gate g; the product with h writes a GRU's n elsewhere. */
@inline
export function columnOf(gate: i32): usize {
  if (cell == LSTM) return <usize>gate * gateBytes;
  return gate == 2 ? lastAt : <usize>gate * gateBytes + resetAt;
}

@inline
export function elements(bytes: usize): i32 {
  return <i32>(bytes >> 2);
}
