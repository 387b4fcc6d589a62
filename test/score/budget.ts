// `npm run score-budget [-- --learn]`: whether the false alarms of streams without a fault keep to their budget: 100 simulated streams,
// 20 of each kind of signal, one reading a minute for 8 weeks, a budget of one alarm a week. Prints them by kind of signal and of alarm.
// With --learn an online forecaster stands before each scorer. Fails outside 400 to 1,600 alarms, or with more than 40 of one stream.
import { parseArgs } from "node:util";
import { createSignal, signalKinds } from "../../firmware-sim/signals.ts";
import type { SignalKind } from "../../firmware-sim/signals.ts";
import { OnlineForecaster } from "../../src/learn/online-forecaster.ts";
import { Scorer } from "../../src/score/scorer.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);
export const WEEK_READINGS = 7 * 24 * 60;

/** How many alarms of each kind one stream raises. */
export function countAlarms(signal: SignalKind, seed: number, readings: number, learn: boolean): Map<string, number> {
  const source = createSignal(signal, seed);
  const features = source.features.map(({ name }) => name);
  const forecaster = learn ? new OnlineForecaster({ name: "budget", features, seed: 1 }) : undefined;
  const slot = forecaster?.allocate() ?? 0;
  const scorer = new Scorer({ features, forecasts: forecaster?.forecasts ?? [] }, { falseAlarmsPerWeek: 1 });
  const row = new Float64Array(scorer.rowSize);
  scorer.begin(row);
  const values = new Float64Array(features.length);
  const x = new Float32Array(features.length);
  const y = new Float32Array(forecaster?.outputs ?? 0);
  const reading = { x, xFrom: 0, missing: undefined, missingFrom: 0, y, yFrom: 0, time: 0, broken: false };
  const counts = new Map<string, number>();
  for (let step = 0; step < readings; step++) {
    source.read(step, values);
    x.set(values);
    reading.time = START + step * MINUTE;
    forecaster?.step(slot, x, 0, reading.time, y, 0);
    scorer.judge(row, reading);
    if (scorer.opened !== undefined) counts.set(scorer.opened.kind, (counts.get(scorer.opened.kind) ?? 0) + 1);
  }
  return counts;
}

export function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

function main(): boolean {
  const { values } = parseArgs({
    options: {
      learn: { type: "boolean", default: false },
      streams: { type: "string", default: "100" },
      weeks: { type: "string", default: "8" },
    },
  });
  const each = Math.ceil(Number(values.streams) / signalKinds.length);
  let [total, most] = [0, 0];
  for (const signal of signalKinds) {
    const byKind = new Map<string, number>();
    for (let seed = 1; seed <= each; seed++) {
      const counts = countAlarms(signal, seed, Number(values.weeks) * WEEK_READINGS, values.learn);
      for (const [kind, count] of counts) byKind.set(kind, (byKind.get(kind) ?? 0) + count);
      most = Math.max(most, sumOf(counts));
    }
    total += sumOf(byKind);
    const parts = [...byKind].toSorted(([, a], [, b]) => b - a).map(([kind, count]) => `${count} ${kind}`);
    process.stdout.write(
      `${signal.padEnd(10)} ${String(sumOf(byKind)).padStart(5)} alarms of ${each} streams: ${parts.join(", ")}\n`,
    );
  }
  process.stdout.write(`${total} alarms in all, at most ${most} of one stream\n`);
  return total >= 4 * each * signalKinds.length && total <= 16 * each * signalKinds.length && most <= 40;
}

if (process.argv[1]?.endsWith("budget.js") === true && !main()) process.exitCode = 1;
