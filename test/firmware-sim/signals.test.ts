import * as fc from "fast-check";
import t from "tap";
import { FaultPlan, faultKinds } from "../../firmware-sim/faults.ts";
import type { FaultKind } from "../../firmware-sim/faults.ts";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { Lag, Levels } from "../../firmware-sim/levels.ts";
import { bitsAt, normalAt, uniformAt, wanderAt } from "../../firmware-sim/noise.ts";
import { createSignal, DAY_STEPS, signalKinds } from "../../firmware-sim/signals.ts";
import type { SignalKind } from "../../firmware-sim/signals.ts";
import { createSimulatedSource } from "../../firmware-sim/simulated-source.ts";

function series(kind: SignalKind, seed: number, feature: number, steps: number): number[] {
  const signal = createSignal(kind, seed);
  const row = new Float64Array(signal.features.length);
  return Array.from({ length: steps }, (_, step) => {
    signal.read(step, row);
    return row[feature]!;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

/** How much of a series repeats after so many steps: 1 all, 0 nothing. */
function correlation(values: readonly number[], lag: number): number {
  const middle = mean(values);
  let [top, bottom] = [0, 0];
  for (let i = lag; i < values.length; i++) top += (values[i]! - middle) * (values[i - lag]! - middle);
  for (const value of values) bottom += (value - middle) ** 2;
  return top / bottom;
}

t.test("draws by place are even, normal where asked, and independent of the order of asking", async (t) => {
  const uniforms = Array.from({ length: 20_000 }, (_, i) => uniformAt(3, i));
  t.ok(Math.abs(mean(uniforms) - 0.5) < 0.01);
  t.ok(Math.abs(deviation(uniforms) - Math.sqrt(1 / 12)) < 0.01);
  const normals = Array.from({ length: 20_000 }, (_, i) => normalAt(4, i));
  t.ok(Math.abs(mean(normals)) < 0.02);
  t.ok(Math.abs(deviation(normals) - 1) < 0.02);
  t.ok(Math.abs(correlation(normals, 1)) < 0.02);
  t.ok(normals.every(Number.isFinite));
  t.equal(new Set(Array.from({ length: 10_000 }, (_, i) => bitsAt(9, i))).size, 10_000, "one seed gives no draw twice");
  t.not(bitsAt(1, 5), bitsAt(1, 5 + 2 ** 32));
  for (let i = 0; i < 2000; i++) {
    const here = wanderAt(5, i / 100);
    if (!(Math.abs(here) <= 1 && Math.abs(wanderAt(5, (i + 1) / 100) - here) < 0.05))
      t.fail("wandering stays within 1 and is smooth");
  }
});

t.test("levels jump, never to where they are, and a lag follows without jumping", async (t) => {
  const levels = new Levels(12, [1, 2, 3], 100);
  const lag = new Lag(levels, 20);
  let jumps = 0;
  for (let step = 1; step < 5000; step++) {
    if (levels.at(step) !== levels.at(step - 1)) jumps++;
    const change = Math.abs(lag.at(step) - lag.at(step - 1));
    if (change > 2 / 20) t.fail(`the lag moves by ${change} at ${step}`);
    // dy/dt = (level - y) / tau, solved exactly over one step.
    const expected = levels.at(step - 1) + (lag.at(step - 1) - levels.at(step - 1)) * Math.exp(-1 / 20);
    if (Math.abs(lag.at(step) - expected) > 1e-9 && levels.at(step) === levels.at(step - 1)) t.fail(`the lag is off at ${step}`);
  }
  t.ok(jumps >= 48 && jumps <= 51, `${jumps} jumps in 50 slots`);
  const [forwards, again] = [new Lag(levels, 20), new Lag(levels, 20)];
  for (const step of [4000, 10, 2500]) t.equal(forwards.at(step), again.at(step));
  t.equal(new Lag(levels, 20).at(4000), lag.at(4000), "asked out of order, the same");
});

for (const kind of signalKinds) {
  t.test(`the signal ${kind} is finite, alive, its own for each seed, and the same in any order`, async (t) => {
    const signal = createSignal(kind, 7);
    t.ok(signal.features.every(({ name, unit, deviation: typical }) => name !== "" && unit !== "" && typical > 0));
    signal.features.forEach(({ name, deviation: typical }, index) => {
      const values = series(kind, 7, index, 3 * DAY_STEPS);
      t.ok(values.every(Number.isFinite), `${name} is finite`);
      const measured = deviation(values);
      t.ok(measured > typical / 4 && measured < typical * 4, `${name} deviates by ${measured.toFixed(2)}, said to be ${typical}`);
      t.ok(Math.abs(correlation(values, 1)) > 0.5, `${name} can be forecast`);
      t.not(series(kind, 8, index, 1)[0], values[0], `${name} differs between seeds`);
    });
    const row = new Float64Array(signal.features.length);
    const fresh = createSignal(kind, 7);
    const freshRow = new Float64Array(signal.features.length);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (step) => {
        signal.read(step, row);
        fresh.read(2 * step + 1, freshRow);
        fresh.read(step, freshRow);
        return row.every((value, i) => value === freshRow[i] && Number.isFinite(value));
      }),
      { seed: 1, numRuns: 500 },
    );
  });
}

t.test("each kind shows what it is named after", async (t) => {
  const temperature = series("daily", 3, 0, 6 * DAY_STEPS);
  t.ok(correlation(temperature, DAY_STEPS) > 0.4, "a day later it is as warm");
  t.ok(correlation(temperature, DAY_STEPS / 2) < 0, "half a day later it is not");

  const vibration = series("vibration", 3, 0, 4000);
  const power = (cyclesPerStep: number): number => {
    const turned = vibration.map((value, step) => [
      value * Math.cos(2 * Math.PI * cyclesPerStep * step),
      value * Math.sin(2 * Math.PI * cyclesPerStep * step),
    ]);
    return Math.hypot(mean(turned.map(([real]) => real!)), mean(turned.map(([, imaginary]) => imaginary!)));
  };
  const candidates = Array.from({ length: 60 }, (_, i) => 0.03 + i * 0.00025);
  const base = candidates.reduce((best, one) => (power(one) > power(best) ? one : best));
  t.ok(power(2 * base) > 5 * power(2.5 * base), "the second harmonic stands out");
  t.ok(power(3 * base) > 3 * power(2.5 * base), "and the third");
  const loads = Array.from({ length: 40 }, (_, i) => deviation(vibration.slice(i * 100, i * 100 + 100)));
  t.ok(Math.max(...loads) > 2.5 * Math.min(...loads), "with the load it is stronger");

  const gas = series("drift", 3, 0, 400_000);
  t.ok(mean(gas.slice(-20_000)) > mean(gas.slice(0, 20_000)) + 40, "the baseline creeps");

  const valve = series("steps", 3, 0, 4000);
  const moves = valve.filter((value, i) => i > 0 && Math.abs(value - valve[i - 1]!) > 4).length;
  t.ok(moves > 10 && moves < 200, `the valve stands still but for ${moves} steps`);
});

t.test("every kind of fault does what it says, to one feature, and nowhere else", async (t) => {
  const intervalSteps = 500;
  for (const kind of faultKinds) {
    const clean = createSignal("mixed", 21);
    const plan = new FaultPlan(clean, { kinds: [kind], intervalSteps, seed: 5 });
    const faults = plan.between(0, 20 * intervalSteps);
    t.equal(faults.length, 19, "one an interval, none in the first");
    const [truth, values, missing] = [new Float64Array(4), new Float64Array(4), new Uint8Array(4)];
    for (const fault of faults.slice(0, 6)) {
      const changes: number[] = [];
      for (let step = fault.start - 1; step <= fault.end; step++) {
        clean.read(step, truth);
        values.set(truth);
        missing.fill(0);
        const found = plan.apply(step, values, missing);
        const isInside = step >= fault.start && step < fault.end;
        if (isInside !== (found !== undefined)) t.fail(`${kind}: the truth about step ${step} is wrong`);
        if (values.some((value, d) => d !== fault.feature && value !== truth[d])) t.fail(`${kind}: another feature changed`);
        if (missing.some((mark, d) => mark !== (kind === "dropout" && isInside && d === fault.feature ? 1 : 0)))
          t.fail(`${kind}: missing marks are wrong`);
        if (isInside) changes.push((values[fault.feature]! - truth[fault.feature]!) / clean.features[fault.feature]!.deviation);
        else if (values[fault.feature] !== truth[fault.feature]) t.fail(`${kind}: changed outside`);
      }
      const size = Math.abs(fault.size);
      if (kind === "spike")
        t.ok(
          changes.every((change) => Math.abs(change - fault.size) < 1e-9) && size >= 4 && changes.length <= 2,
          "a spike of its size",
        );
      if (kind === "drift")
        t.ok(Math.abs(changes.at(-1)! - fault.size) < 1e-9 && Math.abs(changes[0]!) < 0.1, "a slope up to its size");
      if (kind === "noise") t.ok(deviation(changes) > 0.4 * size && deviation(changes) < 2 * size, "noise of its size");
      if (kind === "dropout")
        t.ok(
          changes.every((change) => change === 0),
          "values only missing",
        );
      if (kind === "stuck") {
        clean.read(fault.start, truth);
        const frozen = truth[fault.feature]!;
        clean.read(fault.end - 1, truth);
        values.set(truth);
        plan.apply(fault.end - 1, values, missing);
        t.equal(values[fault.feature], frozen, "the first value to the end");
      }
    }
  }
});

t.test("the truth about faults is the same step by step and over any stretch", async (t) => {
  const signal = createSignal("vibration", 2);
  const plan = new FaultPlan(signal, { kinds: faultKinds, intervalSteps: 40, seed: 77 });
  const found = new Map<number, FaultKind>();
  for (let step = 0; step < 4000; step++) {
    const fault = plan.at(step);
    if (fault === undefined) continue;
    if (step < fault.start || step >= fault.end || fault.end - fault.start > 20)
      t.fail("a fault where it is not, or longer than half its interval");
    found.set(fault.start, fault.kind);
  }
  const listed = plan.between(0, 4000);
  t.same(
    [...found],
    listed.map(({ start, kind }) => [start, kind]),
  );
  t.same(new Set(found.values()), new Set(faultKinds), "all kinds come up");
  const one = listed[10]!;
  t.same(plan.between(one.end - 1, one.end), [one]);
  t.same(plan.between(one.end, one.end + 1), []);
  t.same(new FaultPlan(signal, { kinds: [], intervalSteps: 40, seed: 77 }).between(0, 4000), []);
});

t.test("generated rows are what the sources read, with the truth about their faults", async (t) => {
  const faults = { kinds: faultKinds, intervalSteps: 100 };
  const rows = generateRows({
    signal: "mixed",
    seed: 9,
    devices: 3,
    steps: 1000,
    startStep: 50,
    intervalMs: 1000,
    startTimeMs: 5000,
    faults,
  });
  t.same(rows.features, ["temperature", "vibration", "pressure", "current"]);
  t.same(rows.units, ["°C", "mm/s", "kPa", "A"]);
  t.same(
    rows.streams.map(({ key, count, times }) => [key, count, times[0], times[999]]),
    [
      ["device-001", 1000, 5000, 1_004_000],
      ["device-002", 1000, 5000, 1_004_000],
      ["device-003", 1000, 5000, 1_004_000],
    ],
  );
  const source = createSimulatedSource("mixed", 9, 1, faults);
  const [values, missing] = [new Float64Array(4), new Uint8Array(4)];
  let lost = 0;
  for (let i = 0; i < 1000; i++) {
    missing.fill(0);
    source.read(50 + i, values, missing);
    for (let d = 0; d < 4; d++) {
      const cell = rows.streams[1]!.values[i * 4 + d]!;
      if (missing[d] === 1) lost++;
      if (missing[d] === 1 ? !Number.isNaN(cell) : cell !== Math.fround(values[d]!)) t.fail(`row ${i} differs`);
    }
  }
  t.same(rows.faults[1], source.faults.between(50, 1050));
  const dropped = rows.faults[1]!.filter(({ kind }) => kind === "dropout").map(
    ({ start, end }) => Math.min(end, 1050) - Math.max(start, 50),
  );
  t.equal(
    lost,
    dropped.reduce((sum, length) => sum + length, 0),
  );
  t.same(generateRows({ signal: "mixed", seed: 9, devices: 1, steps: 5 }).faults, [[]]);
});
