// Rows of values times a matrix of weights: nearly all the time of a step is spent here. It knows neither cells nor layers. Each output
// is one chain of multiply-adds, start + row[0] w[0] + row[1] w[1] + ..., in that order: which streams or panels are worked on side by
// side never changes a bit.
//
// The matrix lies in panels of 16 columns: for each input in turn 16 weights, one cache line of 64 bytes, from an address that divides
// by 64. A panel is read from front to back. Columns are padded with zeros to whole panels; inputs are not padded.
import { plus } from "./multiply-add";
import { multiplyFives } from "./multiply-fives";

/** Bytes of a panel's weights for one input, and of a panel's 16 sums. */
export const PANEL_BYTES: usize = 64;
/** From as many inputs on rows go by fives: a panel and the rows are more than the first-level cache holds well. */
const LONG = 128;

/**
 * out (panels, 16) = start (panels, 16) + row (inputs) times `weights`, for one row. Two panels go side by side: eight chains keep two
 * multiply-add units of latency four busy.
 *
 * The breaks are never taken, since a panel's address divides by 64. They end the compiler's basic blocks: V8 before Turboshaft
 * (Node 20, 22) moves all loads of a block to its front, and eight sums, eight weights and a value are more than fifteen registers,
 * which halves the speed. Eight inputs a pass let the prefetcher run far enough ahead when weights come from the second-level cache.
 * Values come four at a load and are spread by shuffles: with one load each, nine loads for eight multiply-adds are what a processor that
 * loads two vectors a cycle waits for.
 */
export function multiplyRow(panels: i32, weights: usize, inputs: i32, start: usize, row: usize, out: usize): void {
  const bytes = <usize>inputs * PANEL_BYTES;
  const end = row + (<usize>inputs << 2);
  const wholeEnd = row + (<usize>(inputs & ~7) << 2);
  for (; panels >= 2; panels -= 2, start += 128, out += 128) {
    let left = weights, right = weights + bytes;
    weights = right + bytes;
    let a = v128.load(start, 0), b = v128.load(start, 16), c = v128.load(start, 32), d = v128.load(start, 48);
    let e = v128.load(start, 64), f = v128.load(start, 80), g = v128.load(start, 96), h = v128.load(start, 112);
    let at = row;
    for (; at < wholeEnd; at += 32, left += 512, right += 512) {
      let four = v128.load(at), v = v128.shuffle<f32>(four, four, 0, 0, 0, 0);
      a = plus(a, v, left, 0); b = plus(b, v, left, 16); c = plus(c, v, left, 32); d = plus(d, v, left, 48); if (right & 1) break;
      e = plus(e, v, right, 0); f = plus(f, v, right, 16); g = plus(g, v, right, 32); h = plus(h, v, right, 48); if (right & 2) break;
      v = v128.shuffle<f32>(four, four, 1, 1, 1, 1);
      a = plus(a, v, left, 64); b = plus(b, v, left, 80); c = plus(c, v, left, 96); d = plus(d, v, left, 112); if (right & 3) break;
      e = plus(e, v, right, 64); f = plus(f, v, right, 80); g = plus(g, v, right, 96); h = plus(h, v, right, 112); if (right & 4) break;
      v = v128.shuffle<f32>(four, four, 2, 2, 2, 2);
      a = plus(a, v, left, 128); b = plus(b, v, left, 144); c = plus(c, v, left, 160); d = plus(d, v, left, 176); if (right & 5) break;
      e = plus(e, v, right, 128); f = plus(f, v, right, 144); g = plus(g, v, right, 160); h = plus(h, v, right, 176); if (right & 6) break;
      v = v128.shuffle<f32>(four, four, 3, 3, 3, 3);
      a = plus(a, v, left, 192); b = plus(b, v, left, 208); c = plus(c, v, left, 224); d = plus(d, v, left, 240); if (right & 7) break;
      e = plus(e, v, right, 192); f = plus(f, v, right, 208); g = plus(g, v, right, 224); h = plus(h, v, right, 240); if (right & 8) break;
      four = v128.load(at, 16); v = v128.shuffle<f32>(four, four, 0, 0, 0, 0);
      a = plus(a, v, left, 256); b = plus(b, v, left, 272); c = plus(c, v, left, 288); d = plus(d, v, left, 304); if (right & 9) break;
      e = plus(e, v, right, 256); f = plus(f, v, right, 272); g = plus(g, v, right, 288); h = plus(h, v, right, 304); if (right & 10) break;
      v = v128.shuffle<f32>(four, four, 1, 1, 1, 1);
      a = plus(a, v, left, 320); b = plus(b, v, left, 336); c = plus(c, v, left, 352); d = plus(d, v, left, 368); if (right & 11) break;
      e = plus(e, v, right, 320); f = plus(f, v, right, 336); g = plus(g, v, right, 352); h = plus(h, v, right, 368); if (right & 12) break;
      v = v128.shuffle<f32>(four, four, 2, 2, 2, 2);
      a = plus(a, v, left, 384); b = plus(b, v, left, 400); c = plus(c, v, left, 416); d = plus(d, v, left, 432); if (right & 13) break;
      e = plus(e, v, right, 384); f = plus(f, v, right, 400); g = plus(g, v, right, 416); h = plus(h, v, right, 432); if (right & 14) break;
      v = v128.shuffle<f32>(four, four, 3, 3, 3, 3);
      a = plus(a, v, left, 448); b = plus(b, v, left, 464); c = plus(c, v, left, 480); d = plus(d, v, left, 496); if (right & 15) break;
      e = plus(e, v, right, 448); f = plus(f, v, right, 464); g = plus(g, v, right, 480); h = plus(h, v, right, 496);
    }
    for (; at < end; at += 4, left += 64, right += 64) {
      const v = v128.load32_splat(at);
      a = plus(a, v, left, 0); b = plus(b, v, left, 16); c = plus(c, v, left, 32); d = plus(d, v, left, 48); if (right & 1) break;
      e = plus(e, v, right, 0); f = plus(f, v, right, 16); g = plus(g, v, right, 32); h = plus(h, v, right, 48);
    }
    v128.store(out, a, 0); v128.store(out, b, 16); v128.store(out, c, 32); v128.store(out, d, 48);
    v128.store(out, e, 64); v128.store(out, f, 80); v128.store(out, g, 96); v128.store(out, h, 112);
  }
  if (panels > 0) multiplyRowOnePanel(weights, start, row, end, out);
}

/** The same for one panel: the odd one at the end. */
function multiplyRowOnePanel(weights: usize, start: usize, row: usize, end: usize, out: usize): void {
  let a = v128.load(start, 0), b = v128.load(start, 16), c = v128.load(start, 32), d = v128.load(start, 48);
  for (let at = row; at < end; at += 4, weights += 64) {
    const v = v128.load32_splat(at);
    a = plus(a, v, weights, 0); b = plus(b, v, weights, 16); c = plus(c, v, weights, 32); d = plus(d, v, weights, 48);
  }
  v128.store(out, a, 0); v128.store(out, b, 16); v128.store(out, c, 32); v128.store(out, d, 48);
}

/**
 * The same for `count` rows, `rowStride` bytes apart, whose starts and outputs lie `startStride` (0 where all begin with one bias) and
 * `outStride` bytes apart.
 */
export function multiplyRows(
  panels: i32, weights: usize, inputs: i32, start: usize, startStride: i32,
  rows: usize, rowStride: i32, out: usize, outStride: i32, count: i32,
): void {
  if (count == 1) {
    multiplyRow(panels, weights, inputs, start, rows, out);
    return;
  }
  const fives = inputs >= LONG ? count / 5 : 0, done = fives * 5, rest = count - done;
  if (fives == 0) {
    multiplyPairs(panels, weights, inputs, start, startStride, rows, rowStride, out, outStride, count);
    return;
  }
  const restStart = done * startStride, restRows = done * rowStride, restOut = done * outStride;
  // Panel by panel, so that it is still in the first-level cache for the rest.
  for (; panels > 0; panels--, weights += <usize>inputs * PANEL_BYTES, start += PANEL_BYTES, out += PANEL_BYTES) {
    multiplyFives(1, weights, inputs, start, startStride, rows, rowStride, out, outStride, fives);
    if (rest > 0) {
      multiplyPairs(1, weights, inputs, start + restStart, startStride, rows + restRows, rowStride, out + restOut, outStride, rest);
    }
  }
}

/**
 * The same without fives. Two rows go side by side: eight chains again, and each weight is loaded once for both. The panel stays in the
 * first-level cache while all rows pass it. Here one input a pass is fastest: eight sums, four weights and two values are fourteen
 * registers.
 */
export function multiplyPairs(
  panels: i32, weights: usize, inputs: i32, start: usize, startStride: i32,
  rows: usize, rowStride: i32, out: usize, outStride: i32, count: i32,
): void {
  const bytes = <usize>inputs * PANEL_BYTES;
  const pairs = count >> 1;
  if (count & 1) {
    const last = count - 1;
    multiplyRow(panels, weights, inputs, start + last * startStride, rows + last * rowStride, out + last * outStride);
  }
  if (pairs == 0) return;
  for (; panels > 0; panels--, weights += bytes, start += PANEL_BYTES, out += PANEL_BYTES) {
    let one = rows, from = start, to = out;
    for (let n = 0; n < pairs; n++) {
      let two = one + rowStride;
      const next = two + rowStride, end = one + (<usize>inputs << 2);
      let a = v128.load(from, 0), b = v128.load(from, 16), c = v128.load(from, 32), d = v128.load(from, 48);
      from += startStride;
      let e = v128.load(from, 0), f = v128.load(from, 16), g = v128.load(from, 32), h = v128.load(from, 48);
      from += startStride;
      for (let at = weights; one < end; one += 4, two += 4, at += 64) {
        const v = v128.load32_splat(one), u = v128.load32_splat(two);
        a = plus(a, v, at, 0); e = plus(e, u, at, 0);
        b = plus(b, v, at, 16); f = plus(f, u, at, 16);
        c = plus(c, v, at, 32); g = plus(g, u, at, 32);
        d = plus(d, v, at, 48); h = plus(h, u, at, 48);
      }
      v128.store(to, a, 0); v128.store(to, b, 16); v128.store(to, c, 32); v128.store(to, d, 48);
      to += outStride;
      v128.store(to, e, 0); v128.store(to, f, 16); v128.store(to, g, 32); v128.store(to, h, 48);
      to += outStride;
      one = next;
    }
  }
}
