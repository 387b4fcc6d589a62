// The thread that carries out one learning job: it reads the journal's files by itself and leaves room to whatever else the box does.
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { readFully, replaceFile, systemDisk } from "../base/disk.ts";
import { createRandom } from "../base/random.ts";
import { readHistory } from "../journal/read-history.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../onnx/load-model.ts";
import { findDrift } from "./find-drift.ts";
import { fineTune } from "./fine-tune.ts";
import { HistoryTable } from "./history-table.ts";
import type { HistoryRun } from "./history-table.ts";
import type { JobKind, JobResults, JobSource, LearningJob } from "./learning-job.ts";
import { pacedClock } from "./paced-clock.ts";
import { prequentialLoss } from "./prequential-loss.ts";
import { TuningProgress } from "./tuning-progress.ts";

const LOWEST_PRIORITY = 19;
const TEMPERATURE_CHECK_MS = 5000;
const TEMPERATURE_BYTES_MAX = 32;

/** Whether the box was too hot when it was last looked at. */
class Thermometer {
  isHot = false;
  readonly #pace: JobSource["pace"];

  constructor(pace: JobSource["pace"]) {
    this.#pace = pace;
  }

  async watch(): Promise<void> {
    this.isHot = (await this.#celsius()) > this.#pace.temperatureMax;
    systemClock.after(TEMPERATURE_CHECK_MS, () => void this.watch(), { background: true });
  }

  /** -Infinity where nothing can be read. */
  async #celsius(): Promise<number> {
    try {
      const file = await systemDisk.open(this.#pace.temperatureFile, "read");
      try {
        const bytes = new Uint8Array(TEMPERATURE_BYTES_MAX);
        const length = await readFully(file, bytes, 0);
        const degrees = Number(Buffer.from(bytes.subarray(0, length)).toString()) / 1000;
        return Number.isFinite(degrees) ? degrees : -Infinity;
      } finally {
        await file.close();
      }
    } catch {
      return -Infinity;
    }
  }
}

interface History {
  readonly runs: readonly HistoryRun[];
  /** Behind the last event. */
  readonly end: number;
}

async function gather({ journal, group, scored, rowsMax }: JobSource, { spec }: Model): Promise<History> {
  const table = new HistoryTable({ group, features: spec.features.length, scored, rowsMax, random: createRandom(1) });
  const end = await readHistory(systemDisk, journal, 0, (event, position) => table.visit(event, position));
  return { runs: table.runs(), end };
}

async function tune(job: LearningJob & { kind: "tune" }, clock: Clock): Promise<JobResults["tune"]> {
  const champion = await loadModel(systemDisk, job.champion);
  const { runs, end } = await gather(job, champion);
  const progress = new TuningProgress(systemDisk, systemClock, job.out, champion);
  const tuned = await fineTune({
    champion,
    runs,
    seed: job.seed,
    clock,
    source: "journal",
    begun: await progress.load(),
    onBest: (best) => progress.keep(best),
  });
  const { model, rows, epochs, change } = tuned;
  await replaceFile(systemDisk, job.out, model.bytes);
  await progress.clear();
  return { version: model.version, rows: rows.train, epochs, change, trainedTo: end };
}

async function judge(job: LearningJob & { kind: "judge" }, clock: Clock): Promise<JobResults["judge"]> {
  const [champion, other] = [await loadModel(systemDisk, job.champion), await loadModel(systemDisk, job.other)];
  const { runs } = await gather(job, champion);
  return prequentialLoss([champion, other], runs, job.from, clock);
}

async function drift(job: LearningJob & { kind: "drift" }, clock: Clock): Promise<JobResults["drift"]> {
  const champion = await loadModel(systemDisk, job.champion);
  const { runs } = await gather(job, champion);
  return { detector: await findDrift(champion, runs, job.from, clock) };
}

async function carryOut(job: LearningJob): Promise<JobResults[JobKind]> {
  // Of this thread alone: on Linux a thread has a priority of its own.
  setPriority(LOWEST_PRIORITY);
  const thermometer = new Thermometer(job.pace);
  await thermometer.watch();
  const clock = pacedClock(systemClock, { share: job.pace.cpuShare, isHot: () => thermometer.isHot });
  switch (job.kind) {
    case "tune":
      return tune(job, clock);
    case "judge":
      return judge(job, clock);
    case "drift":
      return drift(job, clock);
  }
}

parentPort!.postMessage(await carryOut(workerData as LearningJob), []);
