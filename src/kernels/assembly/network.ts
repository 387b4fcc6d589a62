// One network and the states of all streams on it: built once, layer by layer, then stepped. A stream is a slot, a row of the arena,
// which lies last in memory so that it grows where it is. Numbers come in through `numbers`, in the order in which the caller keeps
// them; batches through `stagedX` and out through `stagedY`.
import { addResidual, deviationRow, headRow, softmaxRow, standardiseRow } from "./dense";
import { copyQuads, createLayer, Layer, setLayerBiases, setLayerWeights, stepLayer, stepLayerOnce } from "./layer";
import { allocate, growTo, memoryTop, SLACK } from "./memory";

/** Streams that go through a layer together. A panel of weights serves them all from the first-level cache. */
const BLOCK = 32;

// Heads, as the caller numbers them: targets, then with GAUSSIAN as many log-variances; logits of classes.
const GAUSSIAN = 1, CLASSIFIER = 2;

let inputs = 0, outputs = 0;
/** The head's kind, and how many of its outputs are means in the targets' units. */
let head = 0, targets = 0;
let firstLayer: Layer | null = null, lastLayer: Layer | null = null;
/** Tables of dense.ts. */
let inputTable: usize = 0, outputTable: usize = 0, headWeights: usize = 0, headMask: usize = 0, features: usize = 0;
/** A Gaussian head's scales, in whole quads; a classifier's logits, likewise. */
let deviationScales: usize = 0, logits: usize = 0;
/** The arena: a row's bytes, how many rows, where they begin. */
let rowBytes: usize = 0, slotCount = 0, arena: usize = 0;
/** A block's scratch rows [x | h], its sums, and where its streams' rows are. */
let rows: usize = 0, sums: usize = 0, streams: usize = 0;
let numbers: usize = 0, stagedX: usize = 0, stagedY: usize = 0, stagedSlots: usize = 0;

/** Begins a network of D inputs and O outputs. `numbersMax`: the most numbers that one of the calls below takes. */
export function open(D: i32, O: i32, numbersMax: i32): void {
  inputs = D;
  outputs = O;
  numbers = allocate(<usize>numbersMax << 2);
  inputTable = allocate(<usize>((D + 3) >> 2) << 5);
  // Lanes beyond D are divided too.
  for (let index = D; index & 3; index++) setInput(index, 0, 1);
}

/** A feature's scaling. */
export function setInput(index: i32, mean: f32, scale: f32): void {
  const at = inputTable + (<usize>(index >> 2) << 5) + (<usize>(index & 3) << 2);
  store<f32>(at, mean, 0);
  store<f32>(at, scale, 16);
}

/** Adds a layer of H units on top, which the next three calls fill. */
export function addLayer(cell: i32, H: i32): void {
  const below = lastLayer;
  const layer = createLayer(cell, below ? below.hidden : inputs, H, rowBytes);
  rowBytes += layer.stateBytes;
  if (below) below.next = layer;
  else firstLayer = layer;
  lastLayer = layer;
}

/** Where the layer's h lies in a stream's row, in bytes; an LSTM's c lies as many quads further as h has. */
export function stateOffset(): usize { return lastLayer!.state; }

/** The layer's weights of one input, first those of x, then those of h. */
export function setWeights(input: i32): void { setLayerWeights(lastLayer!, input, numbers); }

export function setBiases(): void { setLayerBiases(lastLayer!, numbers); }

/** Adds the head on the last layer. */
export function addHead(kind: i32, residual: bool): void {
  const layer = lastLayer!, groups = (outputs + 3) >> 2;
  head = kind;
  targets = kind == CLASSIFIER ? 0 : kind == GAUSSIAN ? outputs >> 1 : outputs;
  if (kind == GAUSSIAN) deviationScales = allocate(<usize>((targets + 3) >> 2) << 4);
  if (kind == CLASSIFIER) logits = allocate(<usize>groups << 4);
  headWeights = allocate(<usize>(groups * layer.quads) << 6);
  outputTable = allocate(<usize>groups * 48);
  headMask = allocate(16);
  for (let lane = 0; lane < 4; lane++) store<i32>(headMask + (lane << 2), lane <= ((layer.hidden - 1) & 3) ? -1 : 0);
  if (residual) features = allocate(<usize>targets << 2);
  // What is no target's keeps its value, but that a log-variance is halved; a classifier's lanes beyond its classes weigh nothing.
  for (let output = 0; output < groups << 2; output++) {
    const at = outputTable + <usize>(output >> 2) * 48 + (<usize>(output & 3) << 2);
    store<f32>(at, kind == GAUSSIAN && output >= targets ? 0.5 : 1, 16);
    if (kind == CLASSIFIER && output >= outputs) store<f32>(at, -Infinity, 0);
  }
}

/** The head's weights of one unit: `numbers` (O). */
export function setHeadWeights(unit: i32): void {
  for (let output = 0; output < outputs; output++) {
    const quad = (output >> 2) * lastLayer!.quads + (unit >> 2);
    store<f32>(headWeights + (<usize>quad << 6) + ((output & 3) << 4) + ((unit & 3) << 2), load<f32>(numbers + (output << 2)));
  }
}

export function setBias(output: i32, bias: f32): void {
  store<f32>(outputTable + <usize>(output >> 2) * 48 + (<usize>(output & 3) << 2), bias);
}

/** A target's scaling, and the feature that it is a change of, which counts in a residual head only. */
export function setTarget(target: i32, mean: f32, scale: f32, feature: i32): void {
  const at = outputTable + <usize>(target >> 2) * 48 + (<usize>(target & 3) << 2);
  store<f32>(at, scale, 16);
  store<f32>(at, mean, 32);
  if (head == GAUSSIAN) store<f32>(deviationScales + (<usize>target << 2), scale);
  if (features != 0) store<i32>(features + (target << 2), feature);
}

/** Ends the building: scratch, room for a batch of `rowsMax` stream-steps, and behind it the arena, which has no rows yet. */
export function seal(rowsMax: i32): void {
  let rowStride = 0, sumsStride = 0;
  let layer = firstLayer;
  while (layer) {
    rowStride = max(rowStride, layer.rowStride);
    sumsStride = max(sumsStride, layer.sumsStride);
    layer = layer.next;
  }
  rows = allocate(<usize>rowStride * BLOCK);
  sums = allocate(<usize>sumsStride * BLOCK);
  streams = allocate(BLOCK << 2);
  stagedX = allocate(<usize>rowsMax * <usize>inputs << 2);
  stagedY = allocate(<usize>rowsMax * <usize>outputs << 2);
  stagedSlots = allocate(<usize>rowsMax << 2);
  arena = memoryTop();
}

/**
 * Makes sure of `count` rows in the arena, those that it has keeping their values, and says how many there are: fewer than asked for where
 * there is no memory left. It grows by a sixteenth at least, and all of the last page is used.
 */
export function reserve(count: i32): i32 {
  if (count <= slotCount) return slotCount;
  const wanted = <u64>arena + <u64>(count + (slotCount >> 4)) * rowBytes + SLACK;
  const needed = <u64>arena + <u64>count * rowBytes + SLACK;
  if (!growTo(wanted) && !growTo(needed)) return slotCount;
  slotCount = <i32>((((<usize>memory.size()) << 16) - SLACK - arena) / rowBytes);
  return slotCount;
}

export function numbersAddress(): usize { return numbers; }
export function xAddress(): usize { return stagedX; }
export function yAddress(): usize { return stagedY; }
export function slotsAddress(): usize { return stagedSlots; }
export function arenaAddress(): usize { return arena; }
export function arenaRowBytes(): usize { return rowBytes; }

/** Where a slot's row begins. */
@inline
function rowOf(staged: i32): usize {
  return arena + <usize>load<u32>(stagedSlots + (<usize>staged << 2)) * rowBytes;
}

/**
 * Steps the streams of the first `count` staged slots `steps` times: x (T, N, D) to y (T, N, O). A stream's T steps follow each other
 * while its block's states are in the cache. False, and nothing done, where a slot does not exist.
 */
export function step(count: i32, steps: i32): bool {
  for (let n = 0; n < count; n++) if (load<u32>(stagedSlots + (<usize>n << 2)) >= <u32>slotCount) return false;
  let x = stagedX, y = stagedY;
  const xBytes = <usize>inputs << 2, yBytes = <usize>outputs << 2;
  if (count == 1) {
    for (const stream = rowOf(0); steps > 0; steps--, x += xBytes, y += yBytes) stepOnce(stream, x, y);
    return true;
  }
  for (let first = 0; first < count; first += BLOCK, x += <usize>BLOCK * xBytes, y += <usize>BLOCK * yBytes) {
    const size = min(BLOCK, count - first);
    for (let n = 0; n < size; n++) store<usize>(streams + (<usize>n << 2), rowOf(first + n));
    for (let t = 0, row: usize = 0; t < steps; t++, row += <usize>count) stepBlock(size, x + row * xBytes, y + row * yBytes);
  }
  return true;
}

/** From a stream's last layer to its outputs. */
@inline
function finish(layer: Layer, stream: usize, x: usize, y: usize): void {
  if (head == CLASSIFIER) {
    // Whole quads, so that the lanes beyond the classes come out too.
    headRow(stream + layer.state, layer.quads, headMask, headWeights, outputTable, logits, (outputs + 3) & ~3);
    softmaxRow(logits, y, outputs);
    return;
  }
  headRow(stream + layer.state, layer.quads, headMask, headWeights, outputTable, y, outputs);
  if (head == GAUSSIAN) deviationRow(y + (<usize>targets << 2), deviationScales, targets);
  if (features != 0) addResidual(y, x, features, targets);
}

function stepOnce(stream: usize, x: usize, y: usize): void {
  let layer = firstLayer!;
  standardiseRow(x, inputTable, rows, (inputs + 3) >> 2);
  stepLayerOnce(layer, rows, sums, stream + layer.state);
  for (let above: Layer | null = layer.next; above; above = layer.next) {
    copyQuads(stream + layer.state, rows, layer.quads);
    layer = above;
    stepLayerOnce(layer, rows, sums, stream + layer.state);
  }
  finish(layer, stream, x, y);
}

function stepBlock(count: i32, x: usize, y: usize): void {
  let layer = firstLayer!;
  const inputQuads = (inputs + 3) >> 2, xBytes = inputs << 2, yBytes = outputs << 2;
  for (let n = 0, from = x, to = rows; n < count; n++, from += xBytes, to += layer.rowStride) {
    standardiseRow(from, inputTable, to, inputQuads);
  }
  stepLayer(layer, rows, sums, streams, count);
  for (let above: Layer | null = layer.next; above; above = layer.next) {
    for (let n = 0, to = rows; n < count; n++, to += above.rowStride) {
      copyQuads(load<usize>(streams + (<usize>n << 2)) + layer.state, to, layer.quads);
    }
    layer = above;
    stepLayer(layer, rows, sums, streams, count);
  }
  for (let n = 0; n < count; n++, x += xBytes, y += yBytes) finish(layer, load<usize>(streams + (<usize>n << 2)), x, y);
}
