// `npm run tep -- [DIR]`: the Tennessee Eastman process (Downs and Vogel, 1993) in DIR (default ../shared/data/sensors/tep): a network is
// trained on the normal rows of d00.dat with the project's trainer, the scorer goes over the same rows as the stream's past, and then
// over each dNN_te.dat, 960 rows with a fault from row 160 on. Prints when which alarm came, and what it names. Fails where an alarm comes
// before the fault, or none within 40 rows of faults 1, 4, 5 and 6, or not one of the columns that the fault is known by.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import type { Model } from "../../src/model/model.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import { Scorer } from "../../src/score/scorer.ts";
import type { Alarm } from "../../src/score/scorer.ts";

const COLUMNS = 52;
const INTERVAL_MS = 180_000;
const START = Date.UTC(2026, 0, 5);
const FAULT_ROW = 160;
const ROWS_ALLOWED = 40;

/** Columns, from 1, of which one must be among the three largest contributions. */
const known: Readonly<Record<string, readonly number[]>> = {
  d01: [1, 4, 7, 13, 16, 44],
  d04: [51],
  d05: [7, 11, 13, 16, 22, 52],
  d06: [1, 20, 44],
};

const features = Array.from({ length: COLUMNS }, (_, d) => `column ${d + 1}`);

/** `(rows, 52)`. d00.dat alone is stored by column. */
function readRows(path: string): Float32Array {
  const numbers = readFileSync(path, "utf8").trim().split(/\s+/).map(Number);
  const rows = numbers.length / COLUMNS;
  if (!path.endsWith("d00.dat")) return Float32Array.from(numbers);
  return Float32Array.from(numbers, (_, i) => numbers[(i % COLUMNS) * rows + Math.floor(i / COLUMNS)]!);
}

async function train(values: Float32Array): Promise<Model> {
  const count = values.length / COLUMNS;
  const times = Float64Array.from({ length: count }, (_, i) => START + i * INTERVAL_MS);
  const table = { features, streams: [{ key: "plant", count, times, values }] };
  const settings = { ...defaultTrainingSettings, cell: "gru", hidden: [16], head: "gaussian", residual: false } as const;
  const split = { train: 0.7, validation: 0.2, test: 0.1 };
  const options = { table, name: "tep", source: "d00.dat", targets: features, horizon: 1, split, settings };
  return (await trainOnTable({ ...options, clock: systemClock })).model;
}

export interface FoundAlarm extends Alarm {
  readonly row: number;
}

/** The alarms of one file, its rows following those of `past` after a gap. */
function alarmsOf(model: Model, past: Float32Array, rows: Float32Array): FoundAlarm[] {
  const K = COLUMNS;
  const forecasts = features.map((_, feature) => ({ output: feature, feature, horizon: 1, deviation: K + feature }));
  const scorer = new Scorer({ features, forecasts }, { falseAlarmsPerWeek: 1 });
  const row = new Float64Array(scorer.rowSize);
  scorer.begin(row);
  const found: FoundAlarm[] = [];
  let readings = 0;
  for (const [part, data] of [past, rows].entries()) {
    const count = data.length / COLUMNS;
    const y = new SequenceModel(model.spec, model.weights).predict({ shape: [1, count, COLUMNS], data }).data;
    for (let i = 0; i < count; i++) {
      const time = START + readings++ * INTERVAL_MS;
      const [xFrom, yFrom] = [i * COLUMNS, i * 2 * K];
      scorer.judge(row, { x: data, xFrom, missing: undefined, missingFrom: 0, y, yFrom, time, broken: i === 0 });
      if (part === 1 && scorer.opened !== undefined) found.push({ ...scorer.opened, row: i });
    }
  }
  return found;
}

function describe({ row, kind, score, contributions }: FoundAlarm): string {
  const names = contributions.map(({ feature, share }) => `${feature + 1} (${(100 * share).toFixed(0)} %)`);
  return `row ${row} ${kind} ${score.toFixed(2)}: columns ${names.join(", ")}`;
}

export interface ProcessVerdict {
  readonly name: string;
  readonly passed: boolean;
  readonly alarms: readonly FoundAlarm[];
}

/** Whether the alarms of a file are what is known of its fault; of others, only whether none comes before it. */
function judge(name: string, alarms: readonly FoundAlarm[]): ProcessVerdict {
  const columns = known[name];
  const early = name !== "d00" && alarms.some(({ row }) => row < FAULT_ROW);
  const first = alarms.find(({ row }) => row >= FAULT_ROW);
  const names = (first?.contributions ?? []).slice(0, 3).map(({ feature }) => feature + 1);
  const inTime = first !== undefined && first.row < FAULT_ROW + ROWS_ALLOWED;
  const found = inTime && names.some((column) => columns?.includes(column));
  return { name, passed: !early && (columns === undefined || found), alarms };
}

/** All of DIR. */
export async function runProcess(folder: string): Promise<ProcessVerdict[]> {
  const normal = readRows(join(folder, "d00.dat"));
  const model = await train(normal);
  return ["d00", "d01", "d04", "d05", "d06", "d11", "d13", "d14"]
    .filter((name) => existsSync(join(folder, `${name}_te.dat`)))
    .map((name) => judge(name, alarmsOf(model, normal, readRows(join(folder, `${name}_te.dat`)))));
}

async function main(): Promise<boolean> {
  const folder = process.argv[2] ?? join("..", "shared", "data", "sensors", "tep");
  if (!existsSync(join(folder, "d00.dat"))) {
    process.stdout.write(
      `cannot read the process in ${folder}: there is no d00.dat; pass a folder with d00.dat and dNN_te.dat\n`,
    );
    return false;
  }
  const verdicts = await runProcess(folder);
  for (const { name, passed, alarms } of verdicts) {
    process.stdout.write(
      `${passed ? "pass" : "FAIL"} ${name}: ${alarms.length === 0 ? "no alarm" : alarms.map(describe).join("; ")}\n`,
    );
  }
  return verdicts.every(({ passed }) => passed);
}

if (process.argv[1]?.endsWith("tep.js") === true && !(await main())) process.exitCode = 1;
