// T steps of N sequences through one recurrent layer and back: what trains it. One instance holds one run. The input products of many rows
// are one matrix product, the recurrent part goes step by step, and the gradients by inputs and weights are products over all T * N rows.
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
import { copyQuads } from "./layer";
import { allocate, reset } from "./memory";
import { multiplyNarrow, NARROW_BYTES } from "./multiply-narrow";
import { multiplyRows, PANEL_BYTES } from "./multiply-rows";
import { addOuterProducts, addRows } from "./outer-products";
import { lastQuadMask, packColumns, packTransposed } from "./pack";
import {
  backwardGru, backwardLstm, backwardReset, backwardRnn, backwardUpdate,
  forwardGru, forwardLstm, forwardReset, forwardRnn, forwardUpdate,
} from "./train-cells";

// Cells, as layer.ts numbers them.
const TANH = 0, RELU = 1, GRU = 2, RESET_GRU = 3, LSTM = 4;

/** Rows whose input products are made together ahead of their steps: they are still in the first-level cache then. */
const AHEAD = 32;
/** Sequences that go through a step's product together. */
const BLOCK = 32;
/** Rows of which the products of a backward are made together. */
const CHUNK = 64;

let cell = 0, D = 0, H = 0, N = 0, T = 0, G = 0;
/** A gate's bytes, and where a row's columns begin: see above. */
let gateBytes: usize = 0, resetAt: usize = 0, updateAt: usize = 0, lastAt: usize = 0;
/** From row to row of gates, of h and c, and of what is carried back, in bytes. */
let rowBytes: usize = 0, stateBytes: usize = 0, carriedBytes: usize = 0;
/** The windows of the products with x and h: where they begin, their panels, and the inputs that they are on the way back. */
let xAt: usize = 0, hAt: usize = 0, xPanels = 0, hPanels = 0, xInputs = 0, hInputs = 0, resetPanels = 0;

// The numbers as the caller keeps them, and gradients likewise: Wx (D, G H), Wh (H, G H), b (G H), bn (H).
let numbersWx: usize = 0, numbersWh: usize = 0, numbersB: usize = 0, numbersBn: usize = 0;
let gradientWx: usize = 0, gradientWh: usize = 0, gradientB: usize = 0, gradientBn: usize = 0;
// Packed: weights by x, h and r h, and what x's products start from; the same transposed.
let packedX: usize = 0, packedH: usize = 0, packedReset: usize = 0, startX: usize = 0, startN: usize = 0;
let transposedX: usize = 0, transposedH: usize = 0, transposedReset: usize = 0, zeros: usize = 0, mask: usize = 0;
// (T, N, D), (T + 1, N, H) from the states before the first step on, (T, N, gates).
let xs: usize = 0, hs: usize = 0, cs: usize = 0, gates: usize = 0;
// (T, N, H), (T, N, D); (N, H) padded: what goes back from step to step, and what reaches r h.
let dhs: usize = 0, dxs: usize = 0, carried: usize = 0, carriedC: usize = 0, dResetH: usize = 0;
let dh: usize = 0, dc: usize = 0;
/** (N, T, D) or (N, T, H): the caller's order of what comes in and goes out. */
let sequences: usize = 0;
// Sums of gradients by packed columns.
let sumsX: usize = 0, sumsH: usize = 0, sumsReset: usize = 0, sumsB: usize = 0;

@inline
function padded(bytes: usize, to: usize): usize {
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

/** Lays out a run of `count` sequences, over all that this instance has held before. `kind` numbers the cell as layer.ts does. */
export function openSequence(kind: i32, inputs: i32, hidden: i32, count: i32, steps: i32): void {
  reset();
  cell = kind; D = inputs; H = hidden; N = count; T = steps;
  G = cell == LSTM ? 4 : cell >= GRU ? 3 : 1;
  layOutRow();
  const rows = <usize>N * <usize>T, width = <usize>(G * H) << 2;
  stateBytes = <usize>H << 2;
  carriedBytes = padded(gateBytes, PANEL_BYTES);
  numbersWx = allocate(<usize>D * width); numbersWh = allocate(<usize>H * width);
  numbersB = allocate(width); numbersBn = allocate(stateBytes);
  gradientWx = allocate(<usize>D * width + 16); gradientWh = allocate(<usize>H * width + 16);
  gradientB = allocate(width + 16); gradientBn = allocate(stateBytes + 16);
  const hBytes = <usize>hPanels * PANEL_BYTES, xBytes = <usize>xPanels * PANEL_BYTES, resetBytes = <usize>resetPanels * PANEL_BYTES;
  packedX = allocate(xBytes * <usize>D); packedH = allocate(hBytes * <usize>H); packedReset = allocate(resetBytes * <usize>H);
  startX = allocate(xBytes); startN = allocate(gateBytes);
  transposedX = allocate(<usize>((D + 7) >> 3) * <usize>xInputs * NARROW_BYTES);
  transposedH = allocate(carriedBytes * <usize>hInputs);
  transposedReset = allocate(resetPanels == 0 ? 0 : carriedBytes * (gateBytes >> 2));
  zeros = allocate(carriedBytes + <usize>((D + 7) & ~7) * 4);
  mask = allocate(16);
  v128.store(mask, lastQuadMask(H));
  xs = allocate((rows * <usize>D << 2) + 16); dxs = allocate(rows * <usize>D << 2);
  hs = allocate((rows + <usize>N) * stateBytes + 16); dhs = allocate(rows * stateBytes + 16);
  cs = cell == LSTM ? allocate((rows + <usize>N) * stateBytes + 16) : 0;
  gates = allocate(rows * rowBytes + PANEL_BYTES);
  carried = allocate(carriedBytes * <usize>N);
  carriedC = cell == LSTM ? allocate(carriedBytes * <usize>N) : 0;
  dResetH = resetPanels == 0 ? 0 : allocate(carriedBytes * <usize>N);
  dh = allocate(<usize>N * stateBytes + 16); dc = cell == LSTM ? allocate(<usize>N * stateBytes + 16) : 0;
  sequences = allocate(rows * (<usize>max(D, H) << 2) + 16);
  const paddedH = <usize>((H + 3) & ~3);
  sumsX = allocate(xBytes * <usize>((D + 3) & ~3)); sumsH = allocate(hBytes * paddedH); sumsReset = allocate(resetBytes * paddedH);
  sumsB = allocate(padded(rowBytes, PANEL_BYTES));
}

/** Where an array of the run lies. Gradients by states, dh (6) and dc (7), are (N, H); the others as above. */
export function sequenceArray(name: i32): usize {
  switch (name) {
    case 0: return numbersWx;
    case 1: return numbersWh;
    case 2: return numbersB;
    case 3: return numbersBn;
    case 4: return gradientWx;
    case 5: return gradientWh;
    case 6: return gradientB;
    case 7: return gradientBn;
    case 8: return xs;
    case 9: return hs;
    case 10: return cs;
    case 11: return dxs;
    case 12: return dhs;
    case 13: return dh;
    case 14: return dc;
    default: return sequences;
  }
}

/**
 * `to` (outer, inner, ...) = `from` (inner, outer, ...), rows of `bytes`. Rows are written from the first to the last, in whole quads: what
 * a row's last quad has too much the next row overwrites.
 */
function swapAxes(from: usize, to: usize, outer: i32, inner: i32, bytes: usize): void {
  const stride = <usize>outer * bytes, quads = <i32>(padded(bytes, 16) >> 4);
  for (let a = 0; a < outer; a++, from += bytes) {
    for (let b = 0, at = from; b < inner; b++, at += stride, to += bytes) copyQuads(at, to, quads);
  }
}

/** xs (8) or dhs (12) from `sequences`. */
export function takeSequences(name: i32): void {
  if (name == 8) swapAxes(sequences, xs, T, N, <usize>D << 2);
  else swapAxes(sequences, dhs, T, N, stateBytes);
}

/** hs (9) or dxs (11) into `sequences`. */
export function giveSequences(name: i32): void {
  if (name == 9) swapAxes(hs + <usize>N * stateBytes, sequences, N, T, stateBytes);
  else swapAxes(dxs, sequences, N, T, <usize>D << 2);
}

/** Where in a row of gates the product with x writes gate g; the product with h writes a GRU's n elsewhere. */
@inline
function columnOf(gate: i32): usize {
  if (cell == LSTM) return <usize>gate * gateBytes;
  return gate == 2 ? lastAt : <usize>gate * gateBytes + resetAt;
}

@inline
function elements(bytes: usize): i32 {
  return <i32>(bytes >> 2);
}

function packForward(): void {
  const width = <usize>(G * H) << 2;
  for (let gate = 0; gate < G; gate++) {
    const offset = <usize>(gate * H) << 2, column = columnOf(gate), recurrent = numbersWh + offset;
    packColumns(numbersWx + offset, width, D, H, packedX, elements(column - xAt), 16);
    packColumns(numbersB + offset, width, 1, H, startX, elements(column - xAt), 16);
    if (cell == RESET_GRU && gate == 2) packColumns(recurrent, width, H, H, packedReset, 0, 16);
    else packColumns(recurrent, width, H, H, packedH, cell == GRU && gate == 2 ? 0 : elements(column - hAt), 16);
  }
  if (cell == GRU) packColumns(numbersBn, stateBytes, 1, H, startN, 0, 16);
  if (cell == RESET_GRU) {
    const start = startX + lastAt - xAt;
    packColumns(numbersBn, stateBytes, 1, H, startN, 0, 16);
    for (let q: usize = 0; q < gateBytes; q += 16) v128.store(start + q, f32x4.add(v128.load(start + q), v128.load(startN + q)));
  }
}

function packBackward(): void {
  const width = <usize>(G * H) << 2;
  for (let gate = 0; gate < G; gate++) {
    const offset = <usize>(gate * H) << 2, column = columnOf(gate), recurrent = numbersWh + offset;
    packTransposed(numbersWx + offset, width, D, H, transposedX, xInputs, elements(column - xAt), 8);
    if (cell == RESET_GRU && gate == 2) packTransposed(recurrent, width, H, H, transposedReset, elements(gateBytes), 0, 16);
    else packTransposed(recurrent, width, H, H, transposedH, hInputs, cell == GRU && gate == 2 ? 0 : elements(column - hAt), 16);
  }
}

/** The elementwise end of a step for `count` rows. */
function finishStep(row: usize, h: usize, c: usize, count: i32): void {
  const next = <usize>N * stateBytes;
  for (; count > 0; count--, row += rowBytes, h += stateBytes, c += stateBytes) {
    if (cell <= RELU) forwardRnn(cell == RELU, row, h + next, gateBytes);
    else if (cell == GRU) forwardGru(row, resetAt, updateAt, lastAt, h, h + next, gateBytes);
    else if (cell == LSTM) forwardLstm(row, lastAt, c, c + next, h + next, gateBytes);
    else forwardUpdate(row, updateAt, lastAt, h, h + next, gateBytes);
  }
}

/** One step of `count` rows whose products with x are made. */
function stepRows(row: usize, h: usize, c: usize, count: i32): void {
  const stride = <i32>rowBytes;
  if (cell == GRU) for (let n = 0, at = row; n < count; n++, at += rowBytes) copyQuads(startN, at, <i32>(gateBytes >> 4));
  multiplyRows(hPanels, packedH, H, row + hAt, stride, h, <i32>stateBytes, row + hAt, stride, count);
  if (cell == RESET_GRU) {
    for (let n = 0, at = row, from = h; n < count; n++, at += rowBytes, from += stateBytes) forwardReset(at, resetAt, from, gateBytes);
    multiplyRows(resetPanels, packedReset, H, row + lastAt, stride, row, stride, row + lastAt, stride, count);
  }
  finishStep(row, h, c, count);
}

/** From the numbers, xs and the states before the first step to everything else of the forward. */
export function forwardSequence(): void {
  packForward();
  const ahead = max(1, AHEAD / N), xBytes = <usize>D << 2;
  for (let t = 0; t < T; t++) {
    const first = <usize>t * <usize>N;
    if (t % ahead == 0) {
      const count = min(ahead, T - t) * N;
      multiplyRows(
        xPanels, packedX, D, startX, 0, xs + first * xBytes, <i32>xBytes, gates + first * rowBytes + xAt, <i32>rowBytes, count,
      );
    }
    for (let n = 0; n < N; n += BLOCK) {
      const row = first + <usize>n;
      stepRows(gates + row * rowBytes, hs + row * stateBytes, cs + row * stateBytes, min(BLOCK, N - n));
    }
  }
}

/** From what reaches a step's output to the gradients by its sums, for `count` rows from row n of the step. */
function beginStepBack(row: usize, h: usize, c: usize, d: usize, n: i32, count: i32): void {
  const offset = <usize>n * carriedBytes, next = <usize>N * stateBytes;
  let back = carried + offset, backC = carriedC + offset;
  for (; count > 0; count--, row += rowBytes, h += stateBytes, c += stateBytes, d += stateBytes, back += carriedBytes) {
    if (cell <= RELU) backwardRnn(cell == RELU, row, h + next, d, back, gateBytes, mask);
    else if (cell == GRU) backwardGru(row, resetAt, updateAt, lastAt, h, d, back, gateBytes, mask);
    else if (cell == LSTM) backwardLstm(row, lastAt, c, d, back, backC, gateBytes, mask);
    else backwardUpdate(row, updateAt, lastAt, h, d, back, gateBytes, mask);
    backC += carriedBytes;
    // Windows on the way back hold the padding between gates: what the forward left there may be no number.
    if (cell >= GRU && cell < LSTM) {
      for (let at = row + updateAt + gateBytes, end = row + lastAt; at < end; at += 16) v128.store(at, i32x4.splat(0));
    }
  }
}

/** One step back of `count` rows from row n of the step. */
function stepRowsBack(row: usize, h: usize, c: usize, d: usize, n: i32, count: i32): void {
  const stride = <i32>rowBytes, carriedStride = <i32>carriedBytes, offset = <usize>n * carriedBytes;
  const panels = <i32>(carriedBytes / PANEL_BYTES), back = carried + offset;
  beginStepBack(row, h, c, d, n, count);
  if (cell == RESET_GRU) {
    const reset = dResetH + offset;
    multiplyRows(panels, transposedReset, elements(gateBytes), zeros, 0, row + lastAt, stride, reset, carriedStride, count);
    for (let k = 0, at = row, state = h, from = reset, to = back; k < count; k++) {
      backwardReset(at, resetAt, state, from, to, gateBytes, mask);
      at += rowBytes; state += stateBytes; from += carriedBytes; to += carriedBytes;
    }
  }
  const own = cell == GRU || cell == RESET_GRU;
  multiplyRows(panels, transposedH, hInputs, own ? back : zeros, own ? carriedStride : 0, row + hAt, stride, back, carriedStride, count);
}

/** The products over `count` rows from `row` on, once the gradients by all their sums are there. */
function multiplyChunkBack(row: usize, count: i32): void {
  const at = gates + row * rowBytes, x = xs + row * <usize>(D << 2), h = hs + row * stateBytes, xBytes = <usize>D << 2;
  multiplyNarrow(D, transposedX, xInputs, zeros, at + xAt, rowBytes, dxs + row * xBytes, xBytes, count);
  addOuterProducts(x, xBytes, D, at + xAt, rowBytes, xInputs, sumsX, <usize>xPanels * PANEL_BYTES, count);
  addOuterProducts(h, stateBytes, H, at + hAt, rowBytes, hInputs, sumsH, <usize>hPanels * PANEL_BYTES, count);
  if (cell == RESET_GRU) {
    addOuterProducts(at, rowBytes, H, at + lastAt, rowBytes, elements(gateBytes), sumsReset, <usize>resetPanels * PANEL_BYTES, count);
  }
  addRows(at, rowBytes, elements(rowBytes), sumsB, count);
}

/** One row of sums to where the caller keeps gradients: gates side by side without padding, from the first to the last. */
@inline
function unpackRow(sums: usize, window: usize, to: usize, recurrent: bool): void {
  const quads = <i32>(gateBytes >> 4);
  for (let gate = 0; gate < G; gate++, to += stateBytes) {
    copyQuads(sums + (recurrent && gate == 2 && cell == GRU ? 0 : columnOf(gate) - window), to, quads);
  }
}

function unpackGradients(): void {
  const width = <usize>(G * H) << 2, quads = <i32>(gateBytes >> 4);
  for (let i: usize = 0; i < <usize>D; i++) unpackRow(sumsX + i * <usize>xPanels * PANEL_BYTES, xAt, gradientWx + i * width, false);
  for (let i: usize = 0; i < <usize>H; i++) {
    unpackRow(sumsH + i * <usize>hPanels * PANEL_BYTES, hAt, gradientWh + i * width, true);
    if (cell == RESET_GRU) copyQuads(sumsReset + i * <usize>resetPanels * PANEL_BYTES, gradientWh + i * width + 2 * stateBytes, quads);
  }
  unpackRow(sumsB, 0, gradientB, false);
  if (cell == GRU) copyQuads(sumsB, gradientBn, quads);
  if (cell == RESET_GRU) copyQuads(sumsB + lastAt, gradientBn, quads);
}

/** From dhs, and what the last forward left, to all gradients. Of the numbers it takes those of that forward. */
export function backwardSequence(): void {
  packBackward();
  memory.fill(carried, 0, carriedBytes * <usize>N);
  if (cell == LSTM) memory.fill(carriedC, 0, carriedBytes * <usize>N);
  for (let t = T - 1; t >= 0; t--) {
    for (let n = 0; n < N; n += BLOCK) {
      const row = <usize>t * <usize>N + <usize>n, state = row * stateBytes;
      stepRowsBack(gates + row * rowBytes, hs + state, cs + state, dhs + state, n, min(BLOCK, N - n));
    }
  }
  memory.fill(sumsX, 0, <usize>xPanels * PANEL_BYTES * <usize>((D + 3) & ~3));
  memory.fill(sumsH, 0, <usize>hPanels * PANEL_BYTES * <usize>((H + 3) & ~3));
  memory.fill(sumsReset, 0, <usize>resetPanels * PANEL_BYTES * <usize>((H + 3) & ~3));
  memory.fill(sumsB, 0, padded(rowBytes, PANEL_BYTES));
  const rows = N * T;
  for (let row = 0; row < rows; row += CHUNK) multiplyChunkBack(<usize>row, min(CHUNK, rows - row));
  unpackGradients();
  for (let n: usize = 0; n < <usize>N; n++) {
    copyQuads(carried + n * carriedBytes, dh + n * stateBytes, <i32>(gateBytes >> 4));
    if (cell == LSTM) copyQuads(carriedC + n * carriedBytes, dc + n * stateBytes, <i32>(gateBytes >> 4));
  }
}
