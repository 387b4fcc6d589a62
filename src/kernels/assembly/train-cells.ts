// What a cell does with its gates' sums when it is trained, forward and backward side by side: one row (one sequence at one step) a call.
// A row of gates holds the sums before a forward, what the backward needs after it, and the gradients by the sums after the backward, all
// in place, each gate's quads together. h and c rows have H values with nothing between them and are written quad by quad: the lanes of the
// last quad beyond H reach into the next row, which must be written later.
//
// Gradients by sums are inputs of products, so their lanes beyond H must be zeros, whatever a neighbour's row put there: at `mask`
// is what the last quad keeps.
import { sigmoidAll, tanhAll } from "./activation-rows";
import { sigmoid4, tanh4 } from "./activations";
import { flush, MAGNITUDE } from "./flush";
import { multiplyAdd } from "./multiply-add";

/** Gradients die out along the steps of a saturated gate: smaller than this, they are 0. */
const TINY = memory.data<f32>([1e-30, 1e-30, 1e-30, 1e-30]);

@inline
function maskAt(q: usize, last: usize, mask: usize): v128 {
  return q == last ? v128.load(mask) : i32x4.splat(-1);
}

/** 1 - a^2. */
@inline
function oneMinusSquare(a: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.mul(f32x4.sub(one, a), f32x4.add(one, a));
}

/** a (1 - a). */
@inline
function sigmoidSlope(a: v128): v128 {
  return f32x4.mul(a, f32x4.sub(f32x4.splat(1), a));
}

/** h = tanh(row), or max(row, 0), NaN for NaN. */
export function forwardRnn(relu: bool, row: usize, h: usize, bytes: usize): void {
  if (!relu) { tanhAll(row, h, <i32>(bytes >> 4)); return; }
  const zero = f32x4.splat(0);
  for (let q: usize = 0; q < bytes; q += 16) v128.store(h + q, f32x4.pmax(v128.load(row + q), zero));
}

/** row = (dh + carried) (1 - h^2), or where h > 0 for relu. */
export function backwardRnn(relu: bool, row: usize, h: usize, dh: usize, carried: usize, bytes: usize, mask: usize): void {
  const last = bytes - 16, zero = f32x4.splat(0);
  const magnitude = v128.load(MAGNITUDE), tiny = v128.load(TINY);
  for (let q: usize = 0; q < bytes; q += 16) {
    const d = flush(f32x4.add(v128.load(dh + q), v128.load(carried + q)), magnitude, tiny), out = v128.load(h + q);
    const da = relu ? v128.andnot(d, f32x4.le(out, zero)) : f32x4.mul(d, oneMinusSquare(out));
    v128.store(row + q, v128.and(flush(da, magnitude, tiny), maskAt(q, last, mask)));
  }
}

/**
 * GRU with linear_before_reset = 1: from bn + h Wh_n, r, z and n's other sum, `r`, `z` and `n` bytes into the row, to the same with r, z
 * and n in their places; hNext = n + z (h - n).
 */
export function forwardGru(row: usize, r: usize, z: usize, n: usize, h: usize, hNext: usize, bytes: usize): void {
  const reset = row + r, update = row + z, candidate = row + n;
  for (let q: usize = 0; q < bytes; q += 16) {
    const rGate = sigmoid4(v128.load(reset + q)), zGate = sigmoid4(v128.load(update + q));
    const nGate = tanh4(multiplyAdd(rGate, v128.load(row + q), v128.load(candidate + q)));
    v128.store(reset + q, rGate); v128.store(update + q, zGate); v128.store(candidate + q, nGate);
    v128.store(hNext + q, multiplyAdd(zGate, f32x4.sub(v128.load(h + q), nGate), nGate));
  }
}

/** Gradients by all four sums, and carried = what reaches h past the products. */
export function backwardGru(
  row: usize, r: usize, z: usize, n: usize, h: usize, dh: usize, carried: usize, bytes: usize, mask: usize,
): void {
  const last = bytes - 16, one = f32x4.splat(1);
  const magnitude = v128.load(MAGNITUDE), tiny = v128.load(TINY);
  const reset = row + r, update = row + z, candidate = row + n;
  for (let q: usize = 0; q < bytes; q += 16) {
    const keep = maskAt(q, last, mask);
    const d = flush(f32x4.add(v128.load(dh + q), v128.load(carried + q)), magnitude, tiny);
    const zGate = v128.load(update + q), nGate = v128.load(candidate + q), rGate = v128.load(reset + q);
    const dz = f32x4.mul(f32x4.mul(d, f32x4.sub(v128.load(h + q), nGate)), sigmoidSlope(zGate));
    const dn = v128.and(flush(f32x4.mul(f32x4.mul(d, f32x4.sub(one, zGate)), oneMinusSquare(nGate)), magnitude, tiny), keep);
    const dr = f32x4.mul(f32x4.mul(dn, v128.load(row + q)), sigmoidSlope(rGate));
    v128.store(carried + q, f32x4.mul(d, zGate));
    v128.store(row + q, v128.and(flush(f32x4.mul(dn, rGate), magnitude, tiny), keep));
    v128.store(reset + q, v128.and(flush(dr, magnitude, tiny), keep));
    v128.store(update + q, v128.and(flush(dz, magnitude, tiny), keep));
    v128.store(candidate + q, dn);
  }
}

/** linear_before_reset = 0, first half: r in its place, and r h at the front of the row. */
export function forwardReset(row: usize, r: usize, h: usize, bytes: usize): void {
  for (let q: usize = 0; q < bytes; q += 16) {
    const gate = sigmoid4(v128.load(row + r + q));
    v128.store(row + r + q, gate);
    v128.store(row + q, f32x4.mul(gate, v128.load(h + q)));
  }
}

/** Second half: z and n in their places, hNext = n + z (h - n). */
export function forwardUpdate(row: usize, z: usize, n: usize, h: usize, hNext: usize, bytes: usize): void {
  for (let q: usize = 0; q < bytes; q += 16) {
    const zGate = sigmoid4(v128.load(row + z + q)), nGate = tanh4(v128.load(row + n + q));
    v128.store(row + z + q, zGate);
    v128.store(row + n + q, nGate);
    v128.store(hNext + q, multiplyAdd(zGate, f32x4.sub(v128.load(h + q), nGate), nGate));
  }
}

/** Second half backward: gradients by the sums of z and n. */
export function backwardUpdate(
  row: usize, z: usize, n: usize, h: usize, dh: usize, carried: usize, bytes: usize, mask: usize,
): void {
  const last = bytes - 16, one = f32x4.splat(1);
  const magnitude = v128.load(MAGNITUDE), tiny = v128.load(TINY);
  for (let q: usize = 0; q < bytes; q += 16) {
    const keep = maskAt(q, last, mask);
    const d = flush(f32x4.add(v128.load(dh + q), v128.load(carried + q)), magnitude, tiny);
    const zGate = v128.load(row + z + q), nGate = v128.load(row + n + q);
    const dz = f32x4.mul(f32x4.mul(d, f32x4.sub(v128.load(h + q), nGate)), sigmoidSlope(zGate));
    const dn = f32x4.mul(f32x4.mul(d, f32x4.sub(one, zGate)), oneMinusSquare(nGate));
    v128.store(carried + q, f32x4.mul(d, zGate));
    v128.store(row + z + q, v128.and(flush(dz, magnitude, tiny), keep));
    v128.store(row + n + q, v128.and(flush(dn, magnitude, tiny), keep));
  }
}

/** First half backward, from the gradient by r h: that by the sum of r, and its share of what reaches h. */
export function backwardReset(row: usize, r: usize, h: usize, dResetH: usize, carried: usize, bytes: usize, mask: usize): void {
  const last = bytes - 16;
  const magnitude = v128.load(MAGNITUDE), tiny = v128.load(TINY);
  for (let q: usize = 0; q < bytes; q += 16) {
    const d = v128.load(dResetH + q), gate = v128.load(row + r + q);
    v128.store(carried + q, multiplyAdd(d, gate, v128.load(carried + q)));
    const dr = f32x4.mul(f32x4.mul(d, v128.load(h + q)), sigmoidSlope(gate));
    v128.store(row + r + q, v128.and(flush(dr, magnitude, tiny), maskAt(q, last, mask)));
  }
}

/** LSTM: i, f, g, o one after another (`bytes` each) in place, and tanh(cNext) `tanhC` bytes into the row. */
export function forwardLstm(row: usize, tanhC: usize, c: usize, cNext: usize, hNext: usize, bytes: usize): void {
  const forget = row + bytes, candidate = forget + bytes, output = candidate + bytes, kept = row + tanhC;
  const quads = <i32>(bytes >> 4);
  // One kind after another: five activations of a quad are a longer chain than the processor looks ahead.
  sigmoidAll(row, row, 2 * quads);
  tanhAll(candidate, candidate, quads);
  sigmoidAll(output, output, quads);
  for (let q: usize = 0; q < bytes; q += 16) {
    v128.store(cNext + q, multiplyAdd(v128.load(forget + q), v128.load(c + q), f32x4.mul(v128.load(row + q), v128.load(candidate + q))));
  }
  tanhAll(cNext, kept, quads);
  for (let q: usize = 0; q < bytes; q += 16) v128.store(hNext + q, f32x4.mul(v128.load(output + q), v128.load(kept + q)));
}

/** Gradients by all four sums; carriedC = what reaches c, from what reached cNext. */
export function backwardLstm(
  row: usize, tanhC: usize, c: usize, dh: usize, carried: usize, carriedC: usize, bytes: usize, mask: usize,
): void {
  const last = bytes - 16;
  const magnitude = v128.load(MAGNITUDE), tiny = v128.load(TINY);
  const forget = row + bytes, candidate = forget + bytes, output = candidate + bytes, kept = row + tanhC;
  for (let q: usize = 0; q < bytes; q += 16) {
    const keep = maskAt(q, last, mask);
    const d = flush(f32x4.add(v128.load(dh + q), v128.load(carried + q)), magnitude, tiny);
    const i = v128.load(row + q), f = v128.load(forget + q), g = v128.load(candidate + q), o = v128.load(output + q);
    const squashed = v128.load(kept + q);
    const dc = flush(multiplyAdd(f32x4.mul(d, o), oneMinusSquare(squashed), v128.load(carriedC + q)), magnitude, tiny);
    v128.store(row + q, v128.and(flush(f32x4.mul(f32x4.mul(dc, g), sigmoidSlope(i)), magnitude, tiny), keep));
    v128.store(forget + q, v128.and(flush(f32x4.mul(f32x4.mul(dc, v128.load(c + q)), sigmoidSlope(f)), magnitude, tiny), keep));
    v128.store(candidate + q, v128.and(flush(f32x4.mul(f32x4.mul(dc, i), oneMinusSquare(g)), magnitude, tiny), keep));
    v128.store(output + q, v128.and(flush(f32x4.mul(f32x4.mul(d, squashed), sigmoidSlope(o)), magnitude, tiny), keep));
    v128.store(carriedC + q, f32x4.mul(dc, f));
  }
}
