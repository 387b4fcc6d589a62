// A shift of a feature's level: means over several time scales, and short ones against long ones, beyond all that they have been. What a
// single reading may do, four or sixty-four in a row may not. A running mean creeps past its own edge, so a shift that stays is seen by the
// means of blocks.
import { BLOCK_READINGS, blockRecordSurprise, recordSurprise, RECORD_FIELDS } from "./record.ts";
import type { RowLayout } from "./row-layout.ts";
import { FeaturePart } from "./feature-part.ts";

/** Readings that a mean stands for: each scale four times the one before. */
const SCALES = [4, 16, 64, 256];
/** Means that are judged as they are, by their place; over 256 readings there are too few in a row that differ. */
const MEANS = [0, 1, 2];
/** A mean against the one two scales up. */
const DIFFERENCES = [
  [0, 2],
  [1, 3],
] as const;

const COUNT = 0;
const MEAN = 1;
/** The sum of the present block, and a record of the means of blocks. */
const SUM = MEAN + SCALES.length;
const BLOCK_RECORD = SUM + 1;
const RECORDS = BLOCK_RECORD + RECORD_FIELDS;

export class LevelPart extends FeaturePart {
  readonly kind = "level";
  static readonly statistics = MEANS.length + DIFFERENCES.length + 1;

  constructor(layout: RowLayout, features: number) {
    super(layout, features, RECORDS + (LevelPart.statistics - 1) * RECORD_FIELDS);
  }

  /** `expected` is the longest mean before the reading. */
  protected judgeFeature(row: Float64Array, at: number, x: number, d: number): number {
    const count = row[at + COUNT]! + 1;
    row[at + COUNT] = count;
    const means = at + MEAN;
    this.seen[d] = x;
    this.expected[d] = row[means + SCALES.length - 1]!;
    for (let scale = 0; scale < SCALES.length; scale++) {
      row[means + scale]! += (x - row[means + scale]!) / Math.min(count, SCALES[scale]!);
    }
    row[at + SUM]! += x;
    let most = 0;
    if (count % BLOCK_READINGS === 0) {
      most = blockRecordSurprise(row, at + BLOCK_RECORD, row[at + SUM]! / BLOCK_READINGS, count / BLOCK_READINGS);
      row[at + SUM] = 0;
    }
    let record = at + RECORDS;
    for (let index = 0; index < MEANS.length; index++, record += RECORD_FIELDS) {
      const mean = row[means + MEANS[index]!]!;
      most = Math.max(most, recordSurprise(row, record, mean, count));
    }
    for (let index = 0; index < DIFFERENCES.length; index++, record += RECORD_FIELDS) {
      const [short, long] = DIFFERENCES[index]!;
      const difference = row[means + short]! - row[means + long]!;
      most = Math.max(most, recordSurprise(row, record, difference, count));
    }
    return most;
  }
}
