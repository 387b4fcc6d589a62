// One recurrent layer: its weights as matrices, and its step for a block of streams. What comes in lies at the front of each stream's
// scratch row; the state is read from the stream's row in the arena and written back there, once every product that reads it is done.
import { resetGru, updateGru, updateLstm, updateRelu, updateResetGru, updateTanh } from "./cells";
import { addToStart, createMatrix, fillWeights, Matrix } from "./matrix";
import { allocate } from "./memory";
import { multiplyRow, multiplyRows, PANEL_BYTES } from "./multiply-rows";
import { stepTanhPanel } from "./tanh-panel";

// Cells, as the caller numbers them: RNN with tanh and with relu, GRU with linear_before_reset = 1 and 0, LSTM.
const TANH = 0, RELU = 1, GRU = 2, RESET_GRU = 3, LSTM = 4;

@unmanaged
export class Layer {
  cell: i32;
  /** D, H, and the quads of h: H / 4 rounded up. */
  inputs: i32;
  hidden: i32;
  quads: i32;
  /** Where h lies in a stream's row, in bytes; an LSTM's c follows it. */
  state: usize;
  stateBytes: usize;
  /** From one stream's scratch row [x | h] to the next, and from one stream's sums to the next, in bytes. */
  rowStride: i32;
  sumsStride: i32;
  /** On [x | h]: all gates of an RNN or LSTM, r and z of a GRU. */
  gates: Matrix;
  /** A GRU's n: on x where linear_before_reset = 1, on [x | r h] where it is 0. */
  candidate: Matrix;
  /** The product of h in n where linear_before_reset = 1. */
  recurrent: Matrix;
  /** Where the sums of the latter two lie behind those of the gates, in bytes. */
  candidateAt: usize;
  recurrentAt: usize;
  next: Layer | null;
}

export function createLayer(cell: i32, D: i32, H: i32, state: usize): Layer {
  const layer = changetype<Layer>(allocate(offsetof<Layer>()));
  layer.cell = cell;
  layer.inputs = D;
  layer.hidden = H;
  layer.quads = (H + 3) >> 2;
  layer.state = state;
  layer.stateBytes = <usize>layer.quads << (cell == LSTM ? 5 : 4);
  // Rows are copied by quads: room for x and for whole quads of h.
  layer.rowStride = (D + (layer.quads << 2) + 3) >> 2 << 4;
  layer.gates = createMatrix(D + H, H, cell == LSTM ? 4 : cell >= GRU ? 2 : 1);
  let sumsBytes = <usize>layer.gates.panels * PANEL_BYTES;
  if (cell == GRU || cell == RESET_GRU) {
    layer.candidate = createMatrix(cell == GRU ? D : D + H, H, 1);
    layer.candidateAt = sumsBytes;
    sumsBytes += <usize>layer.candidate.panels * PANEL_BYTES;
  }
  if (cell == GRU) {
    layer.recurrent = createMatrix(H, H, 1);
    layer.recurrentAt = sumsBytes;
    sumsBytes += <usize>layer.recurrent.panels * PANEL_BYTES;
  }
  layer.sumsStride = <i32>sumsBytes;
  return layer;
}

/** The weights of one input (of x, then of h): `numbers` (G, H), gates in PyTorch's order: r, z, n for a GRU, i, f, g, o for an LSTM. */
export function setLayerWeights(layer: Layer, input: i32, numbers: usize): void {
  const H = layer.hidden, cell = layer.cell, bytes = <usize>H << 2;
  if (cell == GRU || cell == RESET_GRU) {
    fillWeights(layer.gates, input, 2, 0, numbers, H);
    fillWeights(layer.gates, input, 2, 1, numbers + bytes, H);
    if (cell == GRU && input >= layer.inputs) fillWeights(layer.recurrent, input - layer.inputs, 1, 0, numbers + 2 * bytes, H);
    else fillWeights(layer.candidate, input, 1, 0, numbers + 2 * bytes, H);
    return;
  }
  const gates = cell == LSTM ? 4 : 1;
  for (let gate = 0; gate < gates; gate++) fillWeights(layer.gates, input, gates, gate, numbers + <usize>gate * bytes, H);
}

/** The biases: `numbers` (G, H), for a GRU and then (H), which is added inside n's product with h. */
export function setLayerBiases(layer: Layer, numbers: usize): void {
  const H = layer.hidden, cell = layer.cell, bytes = <usize>H << 2;
  if (cell == GRU || cell == RESET_GRU) {
    addToStart(layer.gates, 2, 0, numbers, H);
    addToStart(layer.gates, 2, 1, numbers + bytes, H);
    addToStart(layer.candidate, 1, 0, numbers + 2 * bytes, H);
    addToStart(cell == GRU ? layer.recurrent : layer.candidate, 1, 0, numbers + 3 * bytes, H);
    return;
  }
  const gates = cell == LSTM ? 4 : 1;
  for (let gate = 0; gate < gates; gate++) addToStart(layer.gates, gates, gate, numbers + <usize>gate * bytes, H);
}

/** Copies whole quads; neither address need be aligned. */
@inline
export function copyQuads(from: usize, to: usize, quads: i32): void {
  for (const end = from + (<usize>quads << 4); from < end; from += 16, to += 16) v128.store(to, v128.load(from));
}

/** The end of a stream's step: from its sums to its new state. */
@inline
function updateState(layer: Layer, sums: usize, h: usize): void {
  const cell = layer.cell, quads = layer.quads;
  if (cell == GRU) updateGru(sums, sums + layer.candidateAt, sums + layer.recurrentAt, h, quads);
  else if (cell == LSTM) updateLstm(sums, h, h + (<usize>quads << 4), quads);
  else if (cell == TANH) updateTanh(sums, h, quads);
  else if (cell == RELU) updateRelu(sums, h, quads);
  else updateResetGru(sums, sums + layer.candidateAt, h, quads);
}

@inline
function multiplyOne(matrix: Matrix, row: usize, sums: usize): void {
  multiplyRow(matrix.panels, matrix.weights, matrix.inputs, matrix.start, row, sums);
}

/** Steps one stream: x stands in `row`, `h` is its state. What stepLayer does, without its loops, which a small network would feel. */
export function stepLayerOnce(layer: Layer, row: usize, sums: usize, h: usize): void {
  const cell = layer.cell, hRow = row + (<usize>layer.inputs << 2);
  if (cell == TANH && layer.gates.panels == 1) {
    stepTanhPanel(layer.gates.weights, layer.gates.start, row, layer.inputs, h, layer.hidden, layer.quads);
    return;
  }
  copyQuads(h, hRow, layer.quads);
  multiplyOne(layer.gates, row, sums);
  if (cell == RESET_GRU) resetGru(sums, h, hRow, layer.quads);
  if (cell == GRU || cell == RESET_GRU) multiplyOne(layer.candidate, row, sums + layer.candidateAt);
  if (cell == GRU) multiplyOne(layer.recurrent, hRow, sums + layer.recurrentAt);
  updateState(layer, sums, h);
}

/** The same matrix for the rows of all streams of a block. */
function multiplyBlock(layer: Layer, matrix: Matrix, rows: usize, sums: usize, count: i32): void {
  multiplyRows(
    matrix.panels, matrix.weights, matrix.inputs, matrix.start, 0, rows, layer.rowStride, sums, layer.sumsStride, count,
  );
}

/** Steps `count` streams: x stands in their scratch rows, and `streams` holds where their rows in the arena are. */
export function stepLayer(layer: Layer, rows: usize, sums: usize, streams: usize, count: i32): void {
  const cell = layer.cell, quads = layer.quads, rowStride = layer.rowStride, sumsStride = layer.sumsStride, state = layer.state;
  const hRows = rows + (<usize>layer.inputs << 2), streamsEnd = streams + (<usize>count << 2);
  for (let at = streams, to = hRows; at < streamsEnd; at += 4, to += rowStride) copyQuads(load<usize>(at) + state, to, quads);
  multiplyBlock(layer, layer.gates, rows, sums, count);
  if (cell == RESET_GRU) {
    for (let at = streams, to = hRows, from = sums; at < streamsEnd; at += 4, to += rowStride, from += sumsStride) {
      resetGru(from, load<usize>(at) + state, to, quads);
    }
  }
  if (cell == GRU || cell == RESET_GRU) multiplyBlock(layer, layer.candidate, rows, sums + layer.candidateAt, count);
  if (cell == GRU) multiplyBlock(layer, layer.recurrent, hRows, sums + layer.recurrentAt, count);
  for (let at = streams; at < streamsEnd; at += 4, sums += sumsStride) updateState(layer, sums, load<usize>(at) + state);
}
