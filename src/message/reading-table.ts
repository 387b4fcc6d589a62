// Readings of the past as a table: what a CSV file or a simulation gives to training, evaluation and replay. Rows stand in the order
// they came; nothing is sorted, thinned or filled in.

/** One stream's rows, in the order they came. */
export interface TableStream {
  /** Empty where the source names no streams. */
  readonly key: string;
  readonly count: number;
  /** `(count)`, milliseconds since 1970. May repeat and go back. */
  readonly times: Float64Array;
  /** `(count, D)` in the order of the table's features; NaN where a value is missing. */
  readonly values: Float32Array;
}

/** Readings of the past: the rows of one stream or more, all with the same features. */
export interface ReadingTable {
  readonly features: readonly string[];
  /** In the order of their first rows. */
  readonly streams: readonly TableStream[];
}

/** The rows from `from` to before `to` of a stream, as views. */
export function sliceStream(stream: TableStream, from: number, to: number): TableStream {
  const width = stream.count === 0 ? 0 : stream.values.length / stream.count;
  return {
    key: stream.key,
    count: to - from,
    times: stream.times.subarray(from, to),
    values: stream.values.subarray(from * width, to * width),
  };
}
