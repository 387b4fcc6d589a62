// A dense layer over many rows and back: y = x W + b. One instance holds one run.
import { copyQuads } from "./layer";
import { allocate, reset } from "./memory";
import { multiplyNarrow, NARROW_BYTES } from "./multiply-narrow";
import { PANEL_BYTES } from "./multiply-rows";
import { addOuterProducts, addRows } from "./outer-products";
import { packColumns, packTransposed } from "./pack";

/** Rows of which the gradients are summed together. */
const CHUNK = 64;

let H = 0, O = 0, rows = 0;
/** Sums of gradients of one input, padded to 16 outputs. */
let sumBytes: usize = 0;
let W: usize = 0, b: usize = 0, dW: usize = 0, db: usize = 0;
let packed: usize = 0, start: usize = 0, transposed: usize = 0, zeros: usize = 0;
let xs: usize = 0, ys: usize = 0, dys: usize = 0, dxs: usize = 0, sums: usize = 0, sumsB: usize = 0;

/** Lays out a run of `count` rows of `inputs` values in and `outputs` out, over all that this instance has held before. */
export function openAffine(inputs: i32, outputs: i32, count: i32): void {
  reset();
  H = inputs; O = outputs; rows = count;
  sumBytes = <usize>((O + 15) >> 4) * PANEL_BYTES;
  const hBytes = <usize>H << 2, oBytes = <usize>O << 2, hPanels = <usize>((H + 7) >> 3), oPanels = <usize>((O + 7) >> 3);
  W = allocate(hBytes * <usize>O); b = allocate(oBytes);
  dW = allocate(hBytes * <usize>O + 16); db = allocate(oBytes + 16);
  packed = allocate(oPanels * <usize>H * NARROW_BYTES); start = allocate(oPanels * NARROW_BYTES);
  transposed = allocate(hPanels * <usize>O * NARROW_BYTES); zeros = allocate(hPanels * NARROW_BYTES);
  xs = allocate(<usize>rows * hBytes); dxs = allocate(<usize>rows * hBytes);
  ys = allocate(<usize>rows * oBytes); dys = allocate(<usize>rows * oBytes + PANEL_BYTES);
  sums = allocate(<usize>((H + 3) & ~3) * sumBytes); sumsB = allocate(sumBytes);
}

/** Where an array lies: W (H, O), b (O), their gradients, xs (rows, H), ys (rows, O), and the gradients by ys and by xs. */
export function affineArray(name: i32): usize {
  switch (name) {
    case 0: return W;
    case 1: return b;
    case 2: return dW;
    case 3: return db;
    case 4: return xs;
    case 5: return ys;
    case 6: return dys;
    default: return dxs;
  }
}

/** ys = xs W + b. */
export function forwardAffine(): void {
  const oBytes = <usize>O << 2;
  packColumns(W, oBytes, H, O, packed, H, 0, 8);
  packColumns(b, oBytes, 1, O, start, 1, 0, 8);
  multiplyNarrow(O, packed, H, start, xs, <usize>H << 2, ys, oBytes, rows);
}

/** dxs = dys W^T, dW = xs^T dys, db = dys summed, with the W of the last forward. */
export function backwardAffine(): void {
  const hBytes = <usize>H << 2, oBytes = <usize>O << 2, quads = (O + 3) >> 2;
  packTransposed(W, oBytes, H, O, transposed, O, 0, 8);
  multiplyNarrow(H, transposed, O, zeros, dys, oBytes, dxs, hBytes, rows);
  memory.fill(sums, 0, <usize>((H + 3) & ~3) * sumBytes);
  memory.fill(sumsB, 0, sumBytes);
  for (let row = 0; row < rows; row += CHUNK) {
    const count = min(CHUNK, rows - row), gradients = dys + <usize>row * oBytes;
    addOuterProducts(xs + <usize>row * hBytes, hBytes, H, gradients, oBytes, O, sums, sumBytes, count);
    addRows(gradients, oBytes, O, sumsB, count);
  }
  for (let i: usize = 0; i < <usize>H; i++) copyQuads(sums + i * sumBytes, dW + i * oBytes, quads);
  copyQuads(sumsB, db, quads);
}
