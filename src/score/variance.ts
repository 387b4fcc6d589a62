// A change of a feature's variance: the logarithm of how far its readings are from the one before, over the last ones against many. The
// logarithm makes twice as restless and half as restless equally far from usual.
import type { RowLayout } from "./row-layout.ts";
import { boundedLog, LONG_READINGS, WINDOW_FIELDS, WindowPart } from "./window-part.ts";

const LAST = WINDOW_FIELDS;
const STEP = WINDOW_FIELDS + 1;
const SEEN = WINDOW_FIELDS + 2;

export class VariancePart extends WindowPart {
  readonly kind = "variance";

  constructor(layout: RowLayout, features: number) {
    super(layout, features, 3);
  }

  protected valueOf(row: Float64Array, at: number, x: number): number {
    const count = Math.min(row[at + SEEN]! + 1, LONG_READINGS);
    row[at + SEEN] = count;
    const step = count > 1 ? Math.abs(x - row[at + LAST]!) : 0;
    row[at + LAST] = x;
    const usual = row[at + STEP]!;
    if (count > 1) row[at + STEP]! += (step - usual) / (count - 1);
    return usual > 0 ? boundedLog(0.05 + step / usual) : 0;
  }

  protected explain(d: number, _long: number, _short: number, x: number): void {
    this.expected[d] = x;
    this.seen[d] = x;
  }
}
