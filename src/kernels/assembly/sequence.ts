// T steps of N sequences through one recurrent layer and back: what trains it. One instance holds one run. Forward and backward go step by
// step, a GRU's products with x some steps ahead; the gradients by inputs and weights are products over all T * N rows.
import { copyQuads } from "./layer";
import { multiplyNarrow } from "./multiply-narrow";
import { multiplyRows, PANEL_BYTES } from "./multiply-rows";
import { addOuterProducts, addRows } from "./outer-products";
import { packColumns, packTransposed } from "./pack";
import {
  D, G, GRU, H, LSTM, N, RELU, RESET_GRU, T, arrayAt, carried, carriedBytes, carriedC, cell, columnOf, cs, dResetH, dc, dh,
  dOutputs, dxs, elements, firstH, gateBytes, gates, gradientB, gradientBn, gradientWh, gradientWx, hAt, hInputs, hPanels, hs, inputBytes,
  dInputs, inputs, joined, lastAt, lastH,
  layOutRun, mask, numbersB, numbersBn, numbersWh, numbersWx, packedH, packedInputsH, packedInputsX, packedReset, packedX, outputs, padded, resetAt, resetPanels,
  rowBytes, startN, startX, stateBytes, sumsB, sumsBytes, sumsH, sumsReset, sumsX, transposedH, transposedReset,
  transposedX, updateAt, xAt, xInputs, xPanels, xs, zeros,
} from "./sequence-layout";
import {
  backwardGru, backwardLstm, backwardReset, backwardRnn, backwardUpdate,
  forwardGru, forwardLstm, forwardReset, forwardRnn, forwardUpdate,
} from "./train-cells";

/** Rows whose input products are made together ahead of their steps: they are still in the first-level cache then. */
const AHEAD = 32;
/** Sequences that go through a step's product together. */
const BLOCK = 32;
/** Rows of which the products of a backward are made together. */
const CHUNK = 64;

/** Lays out a run of `count` sequences, over all that this instance has held before. `kind` numbers the cell as layer.ts does. */
export function openSequence(kind: i32, inputs: i32, hidden: i32, count: i32, steps: i32): void {
  layOutRun(kind, inputs, hidden, count, steps);
}

/** Where an array of the run lies: sequence-layout.ts numbers them. */
export function sequenceArray(name: i32): usize {
  return arrayAt(name);
}

/**
 * `to` (outer, inner, ...) = `from` (inner, outer, ...), rows of `bytes` that lie `fromBytes` and `toBytes` apart. Rows are written from the
 * first to the last, in whole quads: what a row's last quad has too much lies where something is written later.
 */
function swapAxes(from: usize, fromBytes: usize, to: usize, toBytes: usize, outer: i32, inner: i32, bytes: usize): void {
  const stride = <usize>outer * fromBytes, quads = <i32>(padded(bytes, 16) >> 4);
  for (let a = 0; a < outer; a++, from += fromBytes) {
    for (let b = 0, at = from; b < inner; b++, at += stride, to += toBytes) copyQuads(at, to, quads);
  }
}

function packForward(): void {
  const width = <usize>(G * H) << 2;
  for (let gate = 0; gate < G; gate++) {
    const offset = <usize>(gate * H) << 2, column = columnOf(gate), recurrent = numbersWh + offset;
    packColumns(numbersWx + offset, width, D, H, packedX, packedInputsX, elements(column - xAt), 16);
    packColumns(numbersB + offset, width, 1, H, startX, 1, elements(column - xAt), 16);
    if (cell == RESET_GRU && gate == 2) packColumns(recurrent, width, H, H, packedReset, H, 0, 16);
    else packColumns(recurrent, width, H, H, packedH, packedInputsH, cell == GRU && gate == 2 ? 0 : elements(column - hAt), 16);
  }
  if (cell == GRU) packColumns(numbersBn, stateBytes, 1, H, startN, 1, 0, 16);
  if (cell == RESET_GRU) {
    const start = startX + lastAt - xAt;
    packColumns(numbersBn, stateBytes, 1, H, startN, 1, 0, 16);
    for (let q: usize = 0; q < gateBytes; q += 16) v128.store(start + q, f32x4.add(v128.load(start + q), v128.load(startN + q)));
  }
}

function packBackward(byInputs: bool): void {
  const width = <usize>(G * H) << 2;
  for (let gate = 0; gate < G; gate++) {
    const offset = <usize>(gate * H) << 2, column = columnOf(gate), recurrent = numbersWh + offset;
    if (byInputs) packTransposed(numbersWx + offset, width, D, H, transposedX, xInputs, elements(column - xAt), 8);
    if (cell == RESET_GRU && gate == 2) packTransposed(recurrent, width, H, H, transposedReset, elements(gateBytes), 0, 16);
    else packTransposed(recurrent, width, H, H, transposedH, hInputs, cell == GRU && gate == 2 ? 0 : elements(column - hAt), 16);
  }
}

/** H values, and not one more: what lies behind them may have been written before. */
@inline
function copyState(from: usize, to: usize): void {
  const end = to + stateBytes;
  for (; to + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
  for (; to < end; from += 4, to += 4) store<f32>(to, load<f32>(from));
}

/** The elementwise end of a step for `count` rows, h after it also to `out` and one sequence after another. */
function finishStep(row: usize, h: usize, c: usize, out: usize, count: i32): void {
  const next = <usize>N * inputBytes, nextC = <usize>N * stateBytes, sequenceBytes = <usize>T * stateBytes;
  for (; count > 0; count--, row += rowBytes, h += inputBytes, c += stateBytes, out += sequenceBytes) {
    if (cell <= RELU) forwardRnn(cell == RELU, row, h + next, gateBytes);
    else if (cell == GRU) forwardGru(row, resetAt, updateAt, lastAt, h, h + next, gateBytes);
    else if (cell == LSTM) forwardLstm(row, lastAt, c, c + nextC, h + next, gateBytes);
    else forwardUpdate(row, updateAt, lastAt, h, h + next, gateBytes);
    copyState(h + next, out);
  }
}

/** One step of `count` rows; a GRU's have their products with x. */
function stepRows(row: usize, h: usize, c: usize, out: usize, count: i32): void {
  const stride = <i32>rowBytes, hStride = <i32>inputBytes;
  if (joined) {
    multiplyRows(hPanels, packedX, D + H, startX, 0, h - (<usize>D << 2), hStride, row, stride, count);
    finishStep(row, h, c, out, count);
    return;
  }
  if (cell == GRU) for (let n = 0, at = row; n < count; n++, at += rowBytes) copyQuads(startN, at, <i32>(gateBytes >> 4));
  multiplyRows(hPanels, packedH, H, row + hAt, stride, h, hStride, row + hAt, stride, count);
  if (cell == RESET_GRU) {
    for (let n = 0, at = row, from = h; n < count; n++, at += rowBytes, from += inputBytes) forwardReset(at, resetAt, from, gateBytes);
    multiplyRows(resetPanels, packedReset, H, row + lastAt, stride, row, stride, row + lastAt, stride, count);
  }
  finishStep(row, h, c, out, count);
}

/** From the numbers, the inputs and the states before the first step to everything else of the forward. */
export function forwardSequence(): void {
  packForward();
  swapAxes(inputs, <usize>D << 2, xs, inputBytes, T, N, <usize>D << 2);
  const ahead = max(1, AHEAD / N), quads = <i32>(gateBytes >> 4), last = hs + <usize>(T * N) * inputBytes;
  for (let n: usize = 0; n < <usize>N; n++) copyQuads(firstH + n * stateBytes, hs + n * inputBytes, quads);
  for (let t = 0; t < T; t++) {
    const first = <usize>t * <usize>N;
    if (!joined && t % ahead == 0) {
      const count = min(ahead, T - t) * N;
      multiplyRows(
        xPanels, packedX, D, startX, 0, xs + first * inputBytes, <i32>inputBytes, gates + first * rowBytes + xAt, <i32>rowBytes, count,
      );
    }
    for (let n = 0; n < N; n += BLOCK) {
      const row = first + <usize>n;
      const out = outputs + <usize>(n * T + t) * stateBytes;
      stepRows(gates + row * rowBytes, hs + row * inputBytes, cs + row * stateBytes, out, min(BLOCK, N - n));
    }
  }
  for (let n: usize = 0; n < <usize>N; n++) copyQuads(last + n * inputBytes, lastH + n * stateBytes, quads);
}

/** From what reaches a step's output to the gradients by its sums, for `count` rows from row n of the step. */
function beginStepBack(row: usize, h: usize, c: usize, d: usize, n: i32, count: i32): void {
  const offset = <usize>n * carriedBytes, next = <usize>N * inputBytes, sequenceBytes = <usize>T * stateBytes;
  let back = carried + offset, backC = carriedC + offset;
  for (; count > 0; count--, row += rowBytes, h += inputBytes, c += stateBytes, d += sequenceBytes, back += carriedBytes) {
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
      at += rowBytes; state += inputBytes; from += carriedBytes; to += carriedBytes;
    }
  }
  const own = cell == GRU || cell == RESET_GRU;
  multiplyRows(panels, transposedH, hInputs, own ? back : zeros, own ? carriedStride : 0, row + hAt, stride, back, carriedStride, count);
}

/** The products over `count` rows from `row` on, once the gradients by all their sums are there. */
function multiplyChunkBack(row: usize, count: i32, byInputs: bool): void {
  const at = gates + row * rowBytes, x = xs + row * inputBytes, h = hs + row * inputBytes, xBytes = <usize>D << 2;
  if (byInputs) multiplyNarrow(D, transposedX, xInputs, zeros, at + xAt, rowBytes, dxs + row * xBytes, xBytes, count);
  addOuterProducts(x, inputBytes, packedInputsX, at + xAt, rowBytes, xInputs, sumsX, <usize>xPanels * PANEL_BYTES, count);
  if (!joined) addOuterProducts(h, inputBytes, H, at + hAt, rowBytes, hInputs, sumsH, <usize>hPanels * PANEL_BYTES, count);
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
  if (gradientWx == sumsX) return;
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

/**
 * From dOutputs, and what the last forward left, to all gradients, those by xs only where they are asked for. Of the numbers it takes those of
 * that forward.
 */
export function backwardSequence(byInputs: bool): void {
  packBackward(byInputs);
  memory.fill(carried, 0, carriedBytes * <usize>N);
  if (cell == LSTM) memory.fill(carriedC, 0, carriedBytes * <usize>N);
  for (let t = T - 1; t >= 0; t--) {
    for (let n = 0; n < N; n += BLOCK) {
      const row = <usize>t * <usize>N + <usize>n, d = dOutputs + <usize>(n * T + t) * stateBytes;
      stepRowsBack(gates + row * rowBytes, hs + row * inputBytes, cs + row * stateBytes, d, n, min(BLOCK, N - n));
    }
  }
  memory.fill(sumsX, 0, sumsBytes);
  const rows = N * T;
  for (let row = 0; row < rows; row += CHUNK) multiplyChunkBack(<usize>row, min(CHUNK, rows - row), byInputs);
  unpackGradients();
  if (byInputs) swapAxes(dxs, <usize>D << 2, dInputs, <usize>D << 2, N, T, <usize>D << 2);
  for (let n: usize = 0; n < <usize>N; n++) {
    copyQuads(carried + n * carriedBytes, dh + n * stateBytes, <i32>(gateBytes >> 4));
    if (cell == LSTM) copyQuads(carriedC + n * carriedBytes, dc + n * stateBytes, <i32>(gateBytes >> 4));
  }
}
