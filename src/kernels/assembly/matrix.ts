// A matrix of weights in panels with the row its sums start from, and how both are filled. Filling is done once, when a network is
// built, so nothing here is fast.
import { allocate } from "./memory";
import { PANEL_BYTES } from "./multiply-rows";

@unmanaged
export class Matrix {
  panels: i32;
  inputs: i32;
  /** (panels, inputs, 16) */
  weights: usize;
  /** (panels, 16) */
  start: usize;
}

/** `gates` gates of `hidden` units each, zero-filled: the quads of the gates side by side, then padding to whole panels. */
export function createMatrix(inputs: i32, hidden: i32, gates: i32): Matrix {
  const quads = ((hidden + 3) >> 2) * gates;
  const matrix = changetype<Matrix>(allocate(offsetof<Matrix>()));
  matrix.panels = (quads + 3) >> 2;
  matrix.inputs = inputs;
  matrix.weights = allocate(<usize>matrix.panels * <usize>inputs * PANEL_BYTES);
  matrix.start = allocate(<usize>matrix.panels * PANEL_BYTES);
  return matrix;
}

@inline
function columnOf(unit: i32, gates: i32, gate: i32): i32 {
  return (((unit >> 2) * gates + gate) << 2) + (unit & 3);
}

/** Row `input` of one of `gates` gates, from `hidden` numbers at `from`. */
export function fillWeights(matrix: Matrix, input: i32, gates: i32, gate: i32, from: usize, hidden: i32): void {
  for (let unit = 0; unit < hidden; unit++) {
    const column = columnOf(unit, gates, gate);
    const at = matrix.weights + <usize>((column >> 4) * matrix.inputs + input) * PANEL_BYTES + <usize>((column & 15) << 2);
    store<f32>(at, load<f32>(from + (unit << 2)));
  }
}

/** Adds `hidden` numbers at `from` to what one of `gates` gates starts from. */
export function addToStart(matrix: Matrix, gates: i32, gate: i32, from: usize, hidden: i32): void {
  for (let unit = 0; unit < hidden; unit++) {
    const at = matrix.start + (columnOf(unit, gates, gate) << 2);
    store<f32>(at, load<f32>(at) + load<f32>(from + (unit << 2)));
  }
}
