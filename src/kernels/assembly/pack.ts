// Weights on their way between the row-major matrices in which layers keep them, gates side by side in columns, and what the training
// kernels read: panels of columns, and panels of the transposed matrix. It is done at every update, so it goes four numbers at a time.
// Columns of panels that nothing is packed into keep the zeros they were allocated with.
/** All ones in the first (count - 1) % 4 + 1 lanes, those of the last quad of `count` values that belong to somebody. */
@inline
export function lastQuadMask(count: i32): v128 {
  const last = (count - 1) & 3;
  return i32x4.le_s(i32x4(0, 1, 2, 3), i32x4.splat(last));
}

/**
 * `units` columns of `inputs` rows, `stride` bytes apart, into panels of `width` (8 or 16) from `column` on, which divides by 4. Panels have
 * `panelInputs` inputs, and those of the first are at `panels`. Lanes of the last quad beyond the units become 0.
 */
export function packColumns(
  from: usize, stride: usize, inputs: i32, units: i32, panels: usize, panelInputs: i32, column: i32, width: i32,
): void {
  const rest = lastQuadMask(units), panelBytes = <usize>width << 2;
  for (let unit = 0; unit < units;) {
    let to = panels + <usize>((column / width) * panelInputs) * panelBytes + <usize>((column % width) << 2), at = from;
    const end = to + <usize>inputs * panelBytes;
    if (width == 16 && (column & 15) == 0 && unit + 16 <= units) {
      // A whole panel: what most are, in a quarter of the turns.
      for (; to < end; to += 64, at += stride) {
        v128.store(to, v128.load(at)); v128.store(to, v128.load(at, 16), 16);
        v128.store(to, v128.load(at, 32), 32); v128.store(to, v128.load(at, 48), 48);
      }
      unit += 16; column += 16; from += 64;
      continue;
    }
    const mask = unit + 4 <= units ? i32x4.splat(-1) : rest;
    for (; to < end; to += panelBytes, at += stride) v128.store(to, v128.and(v128.load(at), mask));
    unit += 4; column += 4; from += 16;
  }
}

/**
 * The same `units` columns of `rows` rows, transposed: they become inputs `input`, `input` + 1, ... of a matrix of `inputs`, whose columns
 * are the rows here, in panels of `width` (8 or 16).
 */
export function packTransposed(
  from: usize, stride: usize, rows: i32, units: i32, panels: usize, inputs: i32, input: i32, width: i32,
): void {
  const panelBytes = <usize>width << 2, zero = i32x4.splat(0);
  for (let row = 0; row < rows; row += 4, from += 4 * stride) {
    let to = panels + <usize>((row / width) * inputs + input) * panelBytes + <usize>((row % width) << 2);
    const left = rows - row;
    for (let unit = 0, at = from; unit < units; unit += 4, at += 16) {
      const a = v128.load(at);
      const b = left > 1 ? v128.load(at + stride) : zero;
      const c = left > 2 ? v128.load(at + 2 * stride) : zero;
      const d = left > 3 ? v128.load(at + 3 * stride) : zero;
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7), cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
      // What lies behind the last unit belongs to the next gate.
      if (unit + 1 < units) v128.store(to + panelBytes, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
      if (unit + 2 < units) v128.store(to + 2 * panelBytes, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5));
      if (unit + 3 < units) v128.store(to + 3 * panelBytes, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7));
      to += 4 * panelBytes;
    }
  }
}
