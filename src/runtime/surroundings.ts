// What a runtime takes from the world: clock, chance, disk, log, counters, and the two connections to the broker.
import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { systemDisk } from "../base/disk.ts";
import type { Log } from "../base/log.ts";
import { createLog } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import { createSystemRandom } from "../base/random.ts";
import type { RunTrial } from "../engine/engine-trial.ts";
import { runTrial as runEngineTrial } from "../engine/run-trial.ts";
import type { RunLearning } from "../learn/learning-job.ts";
import type { VerifyModel } from "../engine/verify-model.ts";
import { verifyModel as verifyByChild } from "../engine/verify-model.ts";
import type { Config } from "./config-schema.ts";
import { brokerPorts } from "./connections.ts";
import type { Ports } from "../mqtt/packet-port.ts";

/** What a runtime takes from the world; the system's own where absent. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  /** @internal */
  readonly metrics: Metrics;
  /** The two connections to the broker; those of a DirectLink where there is none. */
  readonly ports: Ports;
  /** @internal Measures both engines on a model file. */
  readonly runTrial: RunTrial;
  /** @internal Carries out a learning job. */
  readonly runLearning: RunLearning;
  /** @internal Holds a model file to the parity measure before it is put in force. */
  readonly verifyModel: VerifyModel;
}

/** Loaded where something is to be learned. */
const learnInThread: RunLearning = async (job, signal) => (await import("../learn/run-learning.ts")).runLearning(job, signal);

/** Throws `bad_config` where a file that the config names is absent. */
export async function surroundingsOf(config: Config, given: Partial<Surroundings>): Promise<Surroundings> {
  const clock = given.clock ?? systemClock;
  const random = given.random ?? createSystemRandom();
  const disk = given.disk ?? systemDisk;
  const log = given.log ?? createLog(config.log);
  const ports = given.ports ?? (await brokerPorts(config, { clock, random, disk, log }));
  const { metrics = new Metrics(), runTrial = runEngineTrial, verifyModel = verifyByChild } = given;
  const runLearning: RunLearning = given.runLearning ?? learnInThread;
  return { clock, random, disk, log, metrics, ports, runTrial, runLearning, verifyModel };
}
