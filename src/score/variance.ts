// A change of a feature's variance: how far its readings are from their own short mean, block by block, beyond all that blocks have been in
// either direction. The logarithm makes half as restless as unusual as twice as restless; a running power would creep past its own edge.
import { log } from "../kernels/log.ts";
import { boundedSquare, DEVIATION_FIELDS, inDeviations } from "./deviation.ts";
import { BLOCK_READINGS, blockRecordSurprise, RECORD_FIELDS } from "./record.ts";
import type { RowLayout } from "./row-layout.ts";
import { FeaturePart } from "./feature-part.ts";

const MEAN_READINGS = 16;
/** A variance below this part of the usual is as good as none. */
const POWER_MIN = 0.05;

const COUNT = 0;
const MEAN = 1;
/** The squares of the present block. */
const SUM = 2;
const BLOCKS = 3;
const DEVIATION = 4;
const RECORD = DEVIATION + DEVIATION_FIELDS;

export class VariancePart extends FeaturePart {
  readonly kind = "variance";

  constructor(layout: RowLayout, features: number) {
    super(layout, features, RECORD + RECORD_FIELDS);
  }

  /** Speaks at the last reading of a block; `expected` and `seen` are the short mean and the reading. */
  protected judgeFeature(row: Float64Array, at: number, x: number, d: number): number {
    const count = row[at + COUNT]! + 1;
    row[at + COUNT] = count;
    row[at + MEAN]! += (x - row[at + MEAN]!) / Math.min(count, MEAN_READINGS);
    this.expected[d] = row[at + MEAN]!;
    this.seen[d] = x;
    // In the feature's own units: the size of a deviation goes on changing, and would make later blocks look quieter.
    const squares = row[at + DEVIATION + 1]!;
    row[at + SUM]! += boundedSquare(inDeviations(row, at + DEVIATION, x - row[at + MEAN]!)) * squares;
    if (count % BLOCK_READINGS !== 0) return 0;
    const power = row[at + SUM]! / BLOCK_READINGS;
    row[at + SUM] = 0;
    // In the first block the size of a deviation was not known yet; a feature that never moved has none.
    if (count === BLOCK_READINGS || !(squares > 0)) return 0;
    const blocks = row[at + BLOCKS]! + 1;
    row[at + BLOCKS] = blocks;
    return blockRecordSurprise(row, at + RECORD, log(power + POWER_MIN * squares), blocks);
  }
}
