// Lays series of any number and length into batches for truncated backpropagation: N lanes side by side, each a queue of pieces, cut into
// chunks of T steps. A piece begins at a chunk's first step, from a blank state; what is left of its last chunk stands empty.
import { zeros } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import type { SequenceModel } from "../model/sequence-model.ts";
import type { Series } from "./series.ts";

/** One forward and backward. States carry over from the chunk before, but for the lanes in `starts`. */
export interface Chunk {
  /** Standardised inputs `(N, T, D)`; zeros where a lane stands empty. */
  readonly xs: Tensor;
  /** Standardised targets `(N, T, O)`; NaN where there is none. */
  readonly targets: Tensor;
  /** Lanes in which a piece begins. */
  readonly starts: readonly number[];
  /** Targets that are there. */
  readonly targetCount: number;
}

export interface PackOptions {
  /** At most this many sequences side by side (N). */
  readonly lanes: number;
  /** Steps of a chunk (T). */
  readonly steps: number;
  /**
   * Lets a long stream be cut into pieces, each from a blank state, to fill the lanes; without it every stream is one piece. From 0 to
   * below 1: how far into a piece's length the first cut falls. Other passes should cut elsewhere, or a model learns the cuts.
   */
  readonly cutAt?: number;
}

/** Accepted rows of a series, in order: those from `from` to before `to` of `rows`. */
interface Piece {
  readonly series: Series;
  readonly rows: Int32Array;
  readonly from: number;
  readonly to: number;
}

interface Lane {
  readonly pieces: Piece[];
  chunks: number;
}

function acceptedRows({ accepted, count }: Series): Int32Array {
  const rows = new Int32Array(count);
  let length = 0;
  for (let row = 0; row < count; row++) if (accepted[row] === 1) rows[length++] = row;
  return rows.subarray(0, length);
}

/** Each series whole, or the long ones cut into pieces of about the length that fills every lane. */
function piecesOf(all: readonly Series[], { lanes, cutAt }: PackOptions): Piece[] {
  const series = all.map((one) => ({ one, rows: acceptedRows(one) })).filter(({ rows }) => rows.length > 0);
  const total = series.reduce((sum, { rows }) => sum + rows.length, 0);
  const pieceRows = Math.ceil(total / lanes);
  return series.flatMap(({ one, rows }) => {
    const count = cutAt === undefined ? 1 : Math.max(1, Math.round(rows.length / pieceRows));
    const cuts =
      count === 1 ? [] : Array.from({ length: count }, (_, index) => Math.floor(((index + cutAt!) * rows.length) / count));
    const edges = [0, ...cuts.filter((cut) => cut > 0), rows.length];
    return edges.slice(1).map((to, index) => ({ series: one, rows, from: edges[index]!, to }));
  });
}

/** Longest first, each to the lane that has least: no lane waits long for another. */
function fillLanes(pieces: readonly Piece[], options: PackOptions): Lane[] {
  const lanes = Array.from({ length: Math.min(options.lanes, pieces.length) }, (): Lane => ({ pieces: [], chunks: 0 }));
  for (const piece of pieces.toSorted((a, b) => b.to - b.from - (a.to - a.from))) {
    const lane = lanes.reduce((least, one) => (one.chunks < least.chunks ? one : least));
    lane.pieces.push(piece);
    lane.chunks += Math.ceil((piece.to - piece.from) / options.steps);
  }
  return lanes;
}

/** Writes the rows of a piece from `at` on into lane `n` of readings `(N, T, D)` and targets `(N, T, O)`, in units. */
function writeRows({ series, rows, to }: Piece, at: number, n: number, readings: Tensor, targets: Tensor): void {
  const [, T, D] = readings.shape as [number, number, number];
  const O = targets.shape[2]!;
  for (let t = 0; t < T && at + t < to; t++) {
    const row = rows[at + t]!;
    readings.data.set(series.inputs.subarray(row * D, (row + 1) * D), (n * T + t) * D);
    targets.data.set(series.targets.subarray(row * O, (row + 1) * O), (n * T + t) * O);
  }
}

/** All chunks of one pass over `series`, in the order to run them; at least one series has an accepted row. `model` lends its scaling. */
export function packChunks(series: readonly Series[], model: SequenceModel, options: PackOptions): Chunk[] {
  const lanes = fillLanes(piecesOf(series, options), options);
  const [N, T] = [lanes.length, options.steps];
  const D = model.spec.features.length;
  const O = forecastOutputs(model.spec).length;
  const blank = model.getWeights().xMean.data;
  const queues = lanes.map(({ pieces }) => ({ pieces, index: 0, at: pieces[0]!.from }));
  const count = Math.max(...lanes.map(({ chunks }) => chunks));
  return Array.from({ length: count }, (): Chunk => {
    const xs = zeros([N, T, D]);
    for (let at = 0; at < xs.data.length; at += D) xs.data.set(blank, at);
    const targets = zeros([N, T, O]);
    targets.data.fill(Number.NaN);
    const starts: number[] = [];
    queues.forEach((queue, n) => {
      const piece = queue.pieces[queue.index];
      if (piece === undefined) return;
      if (queue.at === piece.from) starts.push(n);
      writeRows(piece, queue.at, n, xs, targets);
      queue.at += T;
      if (queue.at < piece.to) return;
      queue.index++;
      queue.at = queue.pieces[queue.index]?.from ?? 0;
    });
    model.standardisation.targets(targets, xs, targets);
    model.standardisation.inputs(xs, xs);
    return { xs, targets, starts, targetCount: targets.data.reduce((sum, target) => sum + (Number.isNaN(target) ? 0 : 1), 0) };
  });
}
