// What learning on the way is worth: a model trained on the first quarter of a table, stepped along the rest twice, as it is and with the
// course of learning that a runtime takes; every forecast is made before its reading comes. Positions count rows, so the same rows give the
// same figures.
import { createRandom } from "../../src/base/random.ts";
import { systemClock } from "../../src/base/clock.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import type { JournalEvent } from "../../src/journal/events.ts";
import { beginCourse, Course, defaultCourseSettings } from "../../src/learn/course.ts";
import type { CourseSettings, Decision } from "../../src/learn/course.ts";
import { findDrift } from "../../src/learn/find-drift.ts";
import { fineTune } from "../../src/learn/fine-tune.ts";
import { HistoryTable } from "../../src/learn/history-table.ts";
import type { HistoryRun } from "../../src/learn/history-table.ts";
import { prequentialLoss } from "../../src/learn/prequential-loss.ts";
import { buildSeries } from "../../src/learn/series.ts";
import type { Series } from "../../src/learn/series.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import type { TrainingSettings } from "../../src/learn/training-settings.ts";
import { sliceStream } from "../../src/message/reading-table.ts";
import type { ReadingTable } from "../../src/message/reading-table.ts";
import type { Model } from "../../src/model/model.ts";

export interface LearningRunOptions {
  readonly table: ReadingTable;
  readonly targets: readonly string[];
  readonly training?: Partial<TrainingSettings>;
  readonly course?: Partial<CourseSettings>;
}

export interface LearningRun {
  /** Of the next reading, over the rows after the first quarter, averaged over the targets in their deviations. */
  readonly frozen: number;
  readonly learning: number;
  readonly swaps: number;
  readonly decisions: readonly (Decision & { readonly row: number })[];
}

const TRAINED_PART = 0.25;
const ROWS_BETWEEN_LOOKS = 50;
const REPLAYED_ROWS = 64;
const HISTORY_ROWS = 20_000;

/** One stream stepped by one version after another. */
class Walker {
  readonly #series: Series;
  #engine: NativeEngine;
  #slots: Int32Array;
  readonly #x: Float32Array;
  readonly #y: Float32Array;

  constructor(model: Model, series: Series) {
    this.#series = series;
    this.#x = new Float32Array(model.spec.features.length);
    this.#y = new Float32Array(model.spec.outputs.length);
    this.#engine = new NativeEngine(model);
    this.#slots = Int32Array.of(this.#engine.allocate());
  }

  /** Steps a row; returns the outputs, undefined where a runtime would refuse the reading. */
  step(row: number): Float32Array | undefined {
    if (this.#series.accepted[row] === 0) return undefined;
    const D = this.#x.length;
    this.#x.set(this.#series.inputs.subarray(row * D, (row + 1) * D));
    this.#engine.step({ slots: this.#slots, count: 1, steps: 1, x: this.#x, y: this.#y });
    return this.#y;
  }

  switchTo(model: Model, row: number): void {
    this.#engine = new NativeEngine(model);
    this.#slots = Int32Array.of(this.#engine.allocate());
    for (let at = Math.max(0, row - REPLAYED_ROWS); at < row; at++) this.step(at);
  }
}

/** Squared errors in the targets' deviations. */
class Errors {
  #sum = 0;
  #count = 0;

  add(model: Model, series: Series, row: number, y: Float32Array | undefined): void {
    if (y === undefined) return;
    const O = series.targets.length / series.count;
    for (let o = 0; o < O; o++) {
      const target = series.targets[row * O + o]!;
      if (Number.isNaN(target)) continue;
      this.#sum += ((y[o]! - target) / model.spec.outputs[o]!.deviation) ** 2;
      this.#count++;
    }
  }

  get rmse(): number {
    return Math.sqrt(this.#sum / this.#count);
  }
}

function eventOf(table: ReadingTable, stream: number, row: number): JournalEvent {
  const { times, values } = table.streams[stream]!;
  const D = table.features.length;
  const own = values.slice(row * D, (row + 1) * D);
  return {
    kind: "readings",
    group: 0,
    row: stream,
    identity: undefined,
    firstSequence: row,
    count: 1,
    skipped: undefined,
    receivedAt: times[row]!,
    clockSynced: true,
    deviceTimes: true,
    fromHeld: false,
    times: times.slice(row, row + 1),
    features: D,
    values: own,
    missing: own.some(Number.isNaN) ? Uint8Array.from(own, (value) => (Number.isNaN(value) ? 1 : 0)) : undefined,
    weakDelivery: undefined,
    outputs: new Float32Array(1),
    alarms: [],
    silent: false,
    muted: false,
  };
}

async function trainFirst({ table, targets, training }: LearningRunOptions, rows: number): Promise<Model> {
  const first = { features: table.features, streams: table.streams.map((stream) => sliceStream(stream, 0, rows)) };
  const outcome = await trainOnTable({
    table: first,
    name: "first quarter",
    source: "test",
    targets,
    horizon: 1,
    split: { train: 0.7, validation: 0.2, test: 0.1 },
    settings: { ...defaultTrainingSettings, hidden: [16], ...training },
    clock: systemClock,
  });
  return outcome.model;
}

export async function runLearning(options: LearningRunOptions): Promise<LearningRun> {
  const { table, targets } = options;
  const count = Math.min(...table.streams.map((stream) => stream.count));
  const start = Math.floor(count * TRAINED_PART);
  const first = await trainFirst(options, start);
  const layout = { features: table.features.length, targets: targets.map((name) => table.features.indexOf(name)), horizon: 1 };
  const series = table.streams.map((stream) => buildSeries(stream, layout));
  const [frozen, learning] = [new Errors(), new Errors()];
  const walkers = series.map((one) => ({ frozen: new Walker(first, one), learning: new Walker(first, one) }));
  let [present, previous, challenger]: [Model, Model, Model] = [first, first, first];
  let [now, swaps, tunes] = [0, 0, 0];
  const positionOf = (row: number): number => row * series.length;
  const runs = (): readonly HistoryRun[] => {
    const { length: features } = table.features;
    const history = new HistoryTable({
      group: 0,
      features,
      scored: false,
      rowsMax: HISTORY_ROWS,
      random: createRandom(1),
    });
    for (let row = 0; row < now; row++) {
      for (let s = 0; s < series.length; s++) history.visit(eventOf(table, s, row), positionOf(row) + s);
    }
    return history.runs();
  };
  const switchTo = (model: Model): void => {
    [previous, present] = [present, model];
    swaps++;
    for (const { learning: walker } of walkers) walker.switchTo(model, now);
  };
  const course = new Course(
    { ...defaultCourseSettings, ...options.course },
    {
      tune: async () => {
        const tuned = await fineTune({ champion: present, runs: runs(), seed: ++tunes, clock: systemClock, source: "test" });
        challenger = tuned.model;
        const { epochs, change, rows } = tuned;
        return { version: tuned.model.version, epochs, change, rows: rows.train, trainedTo: positionOf(now) };
      },
      judge: async (other, from) =>
        prequentialLoss([present, other === "previous" ? previous : challenger], runs(), from, systemClock),
      drift: async (from) => findDrift(present, runs(), from, systemClock),
      promote: async () => switchTo(challenger),
      rollback: async () => switchTo(previous),
    },
    beginCourse(positionOf(start), table.streams[0]!.times[start]!),
  );
  const decisions: (Decision & { row: number })[] = [];
  for (now = 0; now < count; now++) {
    if (now >= start && (now - start) % ROWS_BETWEEN_LOOKS === 0) {
      const moment = { position: positionOf(now), wallMs: table.streams[0]!.times[now]!, version: present.version };
      const decision = await course.go(moment);
      if (decision !== undefined) decisions.push({ ...decision, row: now });
    }
    for (const [s, walker] of walkers.entries()) {
      const [still, learnt] = [walker.frozen.step(now), walker.learning.step(now)];
      if (now < start) continue;
      frozen.add(first, series[s]!, now, still);
      learning.add(first, series[s]!, now, learnt);
    }
  }
  return { frozen: frozen.rmse, learning: learning.rmse, swaps, decisions };
}
