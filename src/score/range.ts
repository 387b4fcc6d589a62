// The range check: a value beyond all that a feature has ever had.
import { recordSurprise, RECORD_FIELDS } from "./record.ts";
import type { RowLayout } from "./row-layout.ts";
import { FeaturePart } from "./feature-part.ts";

const COUNT = 0;
const RECORD = 1;

export class RangePart extends FeaturePart {
  readonly kind = "range";

  constructor(layout: RowLayout, features: number) {
    super(layout, features, RECORD + RECORD_FIELDS);
  }

  protected judgeFeature(row: Float64Array, at: number, x: number, d: number): number {
    const count = row[at + COUNT]! + 1;
    row[at + COUNT] = count;
    this.seen[d] = x;
    this.expected[d] = count === 1 ? x : Math.min(Math.max(x, row[at + RECORD]!), row[at + RECORD + 1]!);
    return recordSurprise(row, at + RECORD, x, count);
  }
}
