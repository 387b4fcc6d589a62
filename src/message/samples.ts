// Messages that list named values with their times, one by one: what belongs to one moment is one reading.
import type { Documents } from "./documents.ts";

/** A value by its name, at a moment. */
export interface Sample {
  readonly name: string;
  readonly value: unknown;
  /** Milliseconds since 1970, NaN where there is none. */
  readonly time: number;
  /** Where the message says it. */
  readonly unit?: string | undefined;
}

/** A document for each moment, in the order of time; those without a time come first. */
export function documentsOfSamples(samples: readonly Sample[]): Documents {
  const byTime = new Map<number, Sample[]>();
  for (const sample of samples) {
    const known = byTime.get(sample.time);
    if (known === undefined) byTime.set(sample.time, [sample]);
    else known.push(sample);
  }
  const moments = [...byTime].toSorted(([one], [other]) => (Number.isNaN(one) ? -1 : Number.isNaN(other) ? 1 : one - other));
  return {
    list: moments.map(([, list]) => Object.fromEntries(list.map(({ name, value }) => [name, value]))),
    units: moments.map(([, list]) => new Map(list.flatMap(({ name, unit }) => (unit === undefined ? [] : [[name, unit]])))),
    times: Float64Array.from(moments, ([time]) => time),
  };
}
