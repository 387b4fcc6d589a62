// The runtime as one process of the simulated box: its assembly on the box's clock, disk and connections, without the control socket.
import type { Disk } from "../../src/base/disk.ts";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import type { Random } from "../../src/base/random.ts";
import type { Delivery } from "../../src/message/delivery.ts";
import type { Intake } from "../../src/mqtt/intake.ts";
import type { Sink } from "../../src/mqtt/sink.ts";
import type { Outbox } from "../../src/pipeline/outbox.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Recovered } from "../../src/pipeline/recover.ts";
import { Assembly } from "../../src/runtime/assembly.ts";
import type { Bounds } from "../../src/runtime/assembly.ts";
import { configSchema } from "../../src/runtime/config-schema.ts";
import type { Config } from "../../src/runtime/config-schema.ts";
import type { ModelSwitch, OnSwitch } from "../../src/runtime/model-switch.ts";
import type { Ports } from "../../src/mqtt/packet-port.ts";
import { configureGroup } from "../../src/runtime/groups.ts";
import { StateDirectory } from "../../src/runtime/state-directory.ts";
import { publicKeyText } from "../../src/message/update-key.ts";
import { privateKey } from "../support/update-key.ts";
import { BOOT_SILENCE_MS, CLOCK_JUMP_MS, hasExpiry, hasRateLimits } from "./fault-plan.ts";
import type { GroupPlan, Plan } from "./fault-plan.ts";
import { simModels } from "./sim-models.ts";
import type { Life } from "./virtual-clock.ts";

export const NODE = "box";

export interface ProcessOptions {
  readonly life: Life;
  readonly random: Random;
  readonly disk: Disk;
  readonly plan: Plan;
  readonly groups: readonly GroupPlan[];
  readonly ports: Ports;
  /** The state has been recovered: nothing of this life is in it yet. */
  readonly recovered: (state: StateDirectory, recovered: Recovered) => void;
  /** Just before the pipeline gets a delivery; returns what is called when it is settled. */
  readonly receive: (delivery: Delivery) => () => void;
  /** A stream is forgotten, where the journal is at least so long. */
  readonly forgotten: (key: string, position: number) => void;
  /** A checkpoint has been written: what is before `given` is given back, and the one before it began at `earlier`. */
  readonly checkpointed: (given: number, earlier: number) => void;
  readonly onSwitch: OnSwitch;
  readonly fatal: (thrown: unknown) => void;
}

function parseConfig(plan: Plan, groups: readonly GroupPlan[]): Config {
  return configSchema.parse({
    node: NODE,
    state: "/state",
    mqtt: { url: "mqtt://127.0.0.1" },
    bridge: false,
    durability: { mode: plan.mode, linger: `${plan.lingerMs}ms` },
    // Of every three seeds one keeps no history, and the others one segment and two.
    history: { bytes: `${((plan.checkpointAfterBytes % 3) * plan.segmentBytes) / 1024}KiB` },
    commands: { mqtt: true },
    ...(plan.faults.has("updates") && { updates: { keys: { release: publicKeyText(privateKey) } } }),
    streams: { max: plan.streamsMax, expireAfter: `${hasExpiry(plan) ? plan.expiryMs : 2 ** 50}ms` },
    groups: groups.map(
      ({ gap, missing, holdReadingsMax, codec, format, latest, reorder, rate, switch: policy, holdMs, stepsOnLast }, index) => ({
        name: `g${index}`,
        topic: `s${index}/{device}/r`,
        codec,
        model: `g${index}.onnx`,
        horizons: simModels[index]![0]!.horizons,
        engine: "native",
        kernel: "scalar",
        gap: gap.policy === "decay" ? { decay: `${gap.tauMs}ms` } : gap.policy,
        missing,
        holdReadings: holdReadingsMax,
        switch: policy,
        predictions: { format, latest },
        ...(hasRateLimits(plan) && { rate }),
        ...(holdMs === undefined ? {} : { holdFor: `${holdMs}ms` }),
        ...(holdMs === undefined || !stepsOnLast ? {} : { stepOn: [simModels[index]![0]!.features.at(-1)!] }),
        ...(reorder && { reorder: { readings: reorder.readings, within: `${reorder.withinMs}ms` } }),
      }),
    ),
  });
}

/** What the groups of a box were parsed to: a process starts many times before they change. */
const parsed = new WeakMap<readonly GroupPlan[], Config>();

function configOf(plan: Plan, groups: readonly GroupPlan[]): Config {
  const config = parsed.get(groups) ?? parseConfig(plan, groups);
  parsed.set(groups, config);
  return config;
}

function boundsOf(plan: Plan): Bounds {
  const { segmentBytes, blockBytesMax, reserveBytes, outboxBytesMax, checkpointAfterBytes, unsettledMessagesMax } = plan;
  return {
    segmentBytes,
    blockBytesMax,
    reserveBytes,
    outboxBytesMax,
    checkpointAfterBytes,
    checkpointBytesPerSecond: plan.bytesPerSecond,
    unsettledMessagesMax,
    windowMax: plan.publishWindowMax,
    bootSilenceMs: BOOT_SILENCE_MS,
    streamExpiryCheckMs: plan.expiryCheckMs,
    clockJumpMs: CLOCK_JUMP_MS,
  };
}

/** Tells of streams that are removed and of checkpoints; the last of them is of `position`. */
function watch(
  { fold, journal, checkpoints }: StateDirectory,
  position: number,
  { forgotten, checkpointed }: ProcessOptions,
): void {
  const remove = fold.removeStream.bind(fold);
  fold.removeStream = (group, row) => {
    forgotten(group.columns.keys[row]!, journal.position);
    remove(group, row);
  };
  const write = checkpoints.write.bind(checkpoints);
  let earlier = position;
  checkpoints.write = async (fill) => {
    let latest = earlier;
    const bytes = await write(async (writer) => (latest = await fill(writer)));
    checkpointed(checkpoints.safePosition, earlier);
    earlier = latest;
    return bytes;
  };
}

export class SimProcess {
  readonly metrics: Metrics;
  readonly #assembly: Assembly;

  private constructor(assembly: Assembly, metrics: Metrics) {
    this.#assembly = assembly;
    this.metrics = metrics;
  }

  /** Throws what the start of an assembly throws. */
  static async start(options: ProcessOptions): Promise<SimProcess> {
    const { life: clock, random, disk, plan, ports, recovered, fatal } = options;
    const metrics = new Metrics();
    const config = configOf(plan, options.groups);
    await StateDirectory.make(disk, config.state);
    const parts = {
      config,
      groups: config.groups.map((group, index) => {
        const { model } = simModels[index]![options.groups[index]!.model]!;
        return configureGroup(group, model, config.timezone, []);
      }),
      around: {
        clock,
        random,
        disk,
        log: silentLog,
        metrics,
        ports,
        runTrial: noTrial,
        runLearning: noTrial,
        verifyModel: async () => {},
      },
      bounds: boundsOf(plan),
      onSwitch: options.onSwitch,
      onDelivery: (delivery: Delivery) => {
        const settled = options.receive(delivery);
        const settle = (): void => {
          settled();
          delivery.settle();
        };
        return { ...delivery, settle };
      },
    };
    const opened = await Assembly.recover(parts);
    recovered(opened.state, opened.recovered);
    const assembly = await Assembly.begin(parts, opened);
    assembly.failed.catch(fatal);
    watch(assembly.state, opened.recovered.checkpointPosition, options);
    return new SimProcess(assembly, metrics);
  }

  get state(): StateDirectory {
    return this.#assembly.state;
  }

  get models(): ModelSwitch {
    return this.#assembly.models;
  }

  get pipeline(): Pipeline {
    return this.#assembly.pipeline;
  }

  get outbox(): Outbox {
    return this.#assembly.outbox;
  }

  get intake(): Intake {
    return this.#assembly.intake;
  }

  get sink(): Sink {
    return this.#assembly.sink;
  }

  run(): void {
    this.#assembly.run();
  }

  stop(): Promise<void> {
    return this.#assembly.stop();
  }
}

function noTrial(): Promise<never> {
  return Promise.reject(new Error("every group's engine is configured"));
}
