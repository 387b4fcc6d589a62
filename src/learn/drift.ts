// Whether the errors of a model have grown for good: two detectors that see one error after another and remember a bounded amount. Errors
// come in standard deviations, squared, so that about 1 is what a model that fits shows.

export interface DriftDetector {
  readonly name: string;
  /** Takes in the next error; returns whether they have grown since the detector began. */
  add(error: number): boolean;
}

export interface PageHinkleyOptions {
  /** How much more than the mean is still no change. */
  readonly tolerance: number;
  /** How far the sum of what is more must rise above its least. */
  readonly threshold: number;
  /** Before this many errors nothing is called a change. */
  readonly least: number;
}

/** Page (1954), Hinkley (1971): the sum of deviations from the running mean, held against the least it has been. */
export class PageHinkley implements DriftDetector {
  readonly name = "page-hinkley";
  readonly #options: PageHinkleyOptions;
  #count = 0;
  #mean = 0;
  #sum = 0;
  #least = 0;

  constructor(options: Partial<PageHinkleyOptions> = {}) {
    this.#options = { tolerance: 0.1, threshold: 100, least: 200, ...options };
  }

  add(error: number): boolean {
    const { tolerance, threshold, least } = this.#options;
    this.#count++;
    this.#mean += (error - this.#mean) / this.#count;
    this.#sum += error - this.#mean - tolerance;
    this.#least = Math.min(this.#least, this.#sum);
    return this.#count >= least && this.#sum - this.#least > threshold;
  }
}

interface Bucket {
  readonly sum: number;
  readonly squares: number;
}

/** Buckets of one size before two of them are merged. */
const BUCKETS_PER_ROW = 5;
/** Errors between two looks for a cut. */
const LOOK_EVERY = 32;
/** Fewer on either side of a cut prove nothing. */
const SIDE_LEAST = 64;

/**
 * ADWIN (Bifet and Gavaldà, 2007): a window of the last errors in an exponential histogram, cut wherever its two parts differ by more than
 * chance allows at confidence `delta`; here only a rise is called a change.
 */
export class Adwin implements DriftDetector {
  readonly name = "adwin";
  readonly #delta: number;
  /** By power of two, newest first within one. */
  #rows: Bucket[][] = [[]];
  #count = 0;
  #sum = 0;
  #squares = 0;
  #sinceLook = 0;

  constructor(delta = 0.0001) {
    this.#delta = delta;
  }

  /** Errors in the window. */
  get width(): number {
    return this.#count;
  }

  add(error: number): boolean {
    this.#rows[0]!.unshift({ sum: error, squares: error * error });
    this.#count++;
    this.#sum += error;
    this.#squares += error * error;
    this.#merge();
    if (++this.#sinceLook < LOOK_EVERY) return false;
    this.#sinceLook = 0;
    return this.#cut();
  }

  #merge(): void {
    for (let row = 0; row < this.#rows.length && this.#rows[row]!.length > BUCKETS_PER_ROW; row++) {
      const oldest = this.#rows[row]!.pop()!;
      const older = this.#rows[row]!.pop()!;
      if (row + 1 === this.#rows.length) this.#rows.push([]);
      this.#rows[row + 1]!.unshift({ sum: oldest.sum + older.sum, squares: oldest.squares + older.squares });
    }
  }

  /** Drops what is old for as long as it differs from what is new; returns whether the errors rose. */
  #cut(): boolean {
    let rose = false;
    for (let rise = this.#firstCut(); rise !== undefined; rise = this.#firstCut()) {
      if (rise > 0) rose = true;
      this.#dropOldest();
    }
    return rose;
  }

  /** By how much the new part's mean is above the old one's at the first cut that chance does not allow, from the oldest on. */
  #firstCut(): number | undefined {
    const variance = Math.max(0, this.#squares / this.#count - (this.#sum / this.#count) ** 2);
    const confidence = Math.log((2 * Math.log(Math.max(this.#count, 3))) / this.#delta);
    let [oldCount, oldSum] = [0, 0];
    for (let row = this.#rows.length - 1; row >= 0; row--) {
      for (const bucket of this.#rows[row]!.toReversed()) {
        oldCount += 2 ** row;
        oldSum += bucket.sum;
        const newCount = this.#count - oldCount;
        if (newCount < SIDE_LEAST) return undefined;
        if (oldCount < SIDE_LEAST) continue;
        const mean = 1 / (1 / oldCount + 1 / newCount);
        const bound = Math.sqrt((2 / mean) * variance * confidence) + (2 / (3 * mean)) * confidence;
        const rise = (this.#sum - oldSum) / newCount - oldSum / oldCount;
        if (Math.abs(rise) > bound) return rise;
      }
    }
    return undefined;
  }

  #dropOldest(): void {
    const row = this.#rows.length - 1;
    const { sum, squares } = this.#rows[row]!.pop()!;
    this.#count -= 2 ** row;
    this.#sum -= sum;
    this.#squares -= squares;
    while (this.#rows.length > 1 && this.#rows.at(-1)!.length === 0) this.#rows.pop();
  }
}
