// The benchmark's series and labels as its repository lays them out: data/CATEGORY/NAME.csv with a timestamp and a value in each row, and
// labels/combined_windows.json with the windows of each file as timestamps. And the layout of its result files.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface NabSeries {
  /** `realTweets/Twitter_volume_AAPL.csv` */
  readonly name: string;
  /** As they stand in the file. */
  readonly timestamps: readonly string[];
  /** In ms since 1970; the files name no zone, and are read as UTC. */
  readonly times: Float64Array;
  readonly texts: readonly string[];
  readonly values: Float64Array;
  /** [first row, last row], in order. */
  readonly windows: readonly (readonly [number, number])[];
}

function timeOf(timestamp: string): number {
  return Date.parse(`${timestamp.slice(0, 19).replace(" ", "T")}Z`);
}

function readSeries(folder: string, name: string, windows: readonly (readonly [string, string])[]): NabSeries {
  const lines = readFileSync(join(folder, "data", name), "utf8")
    .trim()
    .split(/\r?\n/)
    .slice(1);
  const timestamps = lines.map((line) => line.slice(0, line.indexOf(",")));
  const texts = lines.map((line) => line.slice(line.indexOf(",") + 1));
  const times = Float64Array.from(timestamps, timeOf);
  const rowsOf = ([from, to]: readonly [string, string]): readonly [number, number] => {
    const inside = (time: number): boolean => time >= timeOf(from) && time <= timeOf(to);
    return [times.findIndex(inside), times.findLastIndex(inside)];
  };
  return { name, timestamps, times, texts, values: Float64Array.from(texts, Number), windows: windows.map(rowsOf) };
}

/** All series of the benchmark below `folder`, by name. */
export function readCorpus(folder: string): NabSeries[] {
  const labels = JSON.parse(readFileSync(join(folder, "labels", "combined_windows.json"), "utf8")) as Record<
    string,
    [string, string][]
  >;
  return Object.keys(labels)
    .toSorted()
    .map((name) => readSeries(folder, name, labels[name]!));
}

/** `OUT/DETECTOR/CATEGORY/DETECTOR_NAME.csv`, which the benchmark's own scorer reads. */
export function writeResults(out: string, detector: string, series: NabSeries, scores: ArrayLike<number>): void {
  const { name, timestamps, texts, windows } = series;
  const path = join(out, detector, dirname(name), `${detector}_${basename(name)}`);
  const rows = timestamps.map((timestamp, row) => {
    const label = windows.some(([first, last]) => first <= row && row <= last) ? 1 : 0;
    return `${timestamp},${texts[row]},${scores[row]},${label}`;
  });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `timestamp,value,anomaly_score,label\n${rows.join("\n")}\n`);
}
