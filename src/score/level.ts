// A shift of a feature's level: its mean over the last readings against that over many.
import type { RowLayout } from "./row-layout.ts";
import { WindowPart } from "./window-part.ts";

export class LevelPart extends WindowPart {
  readonly kind = "level";

  constructor(layout: RowLayout, features: number) {
    super(layout, features, 0);
  }

  protected valueOf(_row: Float64Array, _at: number, x: number): number {
    return x;
  }

  protected explain(d: number, long: number, short: number): void {
    this.expected[d] = long;
    this.seen[d] = short;
  }
}
