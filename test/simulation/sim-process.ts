// The runtime as one process of the simulated box: the parts of src/runtime put together without sockets, from the opening of the state
// directory to the end.
import type { Disk } from "../../src/base/disk.ts";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import type { Delivery } from "../../src/message/delivery.ts";
import { parseTopicPattern } from "../../src/message/topic-pattern.ts";
import { Intake } from "../../src/mqtt/intake.ts";
import type { PacketPort } from "../../src/mqtt/packet-port.ts";
import { Sink } from "../../src/mqtt/sink.ts";
import type { Outbox } from "../../src/pipeline/outbox.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Recovered } from "../../src/pipeline/recover.ts";
import { Routes } from "../../src/pipeline/routes.ts";
import type { Entry } from "../../src/pipeline/routes.ts";
import { encodeEpochSettings } from "../../src/pipeline/settings.ts";
import type { EpochSettings } from "../../src/pipeline/settings.ts";
import { StateDirectory } from "../../src/runtime/state-directory.ts";
import { BOOT_SILENCE_MS } from "./fault-plan.ts";
import type { GroupPlan, Plan } from "./fault-plan.ts";
import { simKernel, simModels } from "./sim-models.ts";
import type { Life } from "./virtual-clock.ts";

export const NODE = "box";
const DIRECTORY = "/state";

export interface ProcessOptions {
  readonly life: Life;
  readonly disk: Disk;
  readonly plan: Plan;
  readonly groups: readonly GroupPlan[];
  readonly ports: () => { readonly intake: PacketPort; readonly sink: PacketPort };
  /** The state has been recovered: nothing of this life is in it yet. */
  readonly recovered: (state: StateDirectory, recovered: Recovered) => void;
  /** Just before the pipeline gets a delivery; returns what is called when it is settled. */
  readonly receive: (delivery: Delivery) => () => void;
  readonly fatal: (thrown: unknown) => void;
}

function settingsOf(groups: readonly GroupPlan[]): EpochSettings {
  return {
    format: 1,
    node: NODE,
    groups: groups.map(({ gap, missing, holdReadingsMax, format, latest }, index) => ({
      name: `g${index}`,
      version: simModels[index]!.model.version,
      engine: "native",
      kernel: simKernel,
      gap,
      missing: simModels[index]!.features.map(() => missing),
      holdReadingsMax,
      predictions: { format, latest },
    })),
  };
}

function entriesOf(groups: readonly GroupPlan[]): Entry[] {
  return groups.map(({ codec, reorder }, group) => {
    const { features } = simModels[group]!;
    return {
      group,
      pattern: parseTopicPattern(`s${group}/{device}/r`, NODE),
      codec: payloadCodec(codec),
      features,
      min: new Float64Array(features.length).fill(-Infinity),
      max: new Float64Array(features.length).fill(Infinity),
      reorder,
      rate: undefined,
    };
  });
}

export class SimProcess {
  readonly metrics: Metrics;
  readonly state: StateDirectory;
  readonly pipeline: Pipeline;
  readonly outbox: Outbox;
  readonly intake: Intake;
  readonly sink: Sink;
  /** Nothing happens by itself any more. */
  isStopped = false;

  private constructor(options: ProcessOptions, metrics: Metrics, state: StateDirectory, outbox: Outbox, recovered: Recovered) {
    const { life: clock, plan, groups } = options;
    this.metrics = metrics;
    this.state = state;
    this.outbox = outbox;
    const log = silentLog;
    const { streamsMax } = plan;
    this.pipeline = new Pipeline({
      node: NODE,
      fold: state.fold,
      journal: state.journal,
      checkpoints: state.checkpoints,
      reserve: state.reserve,
      durability: { mode: plan.mode, lingerMs: plan.lingerMs },
      bytesPerSecond: plan.bytesPerSecond,
      outbox,
      routes: new Routes(NODE, entriesOf(groups), { commands: true, streamsMax }),
      clock,
      log,
      metrics,
      streamsMax,
      bootSilenceMs: BOOT_SILENCE_MS,
      streamExpiryMs: 2 ** 50,
      checkpointPosition: recovered.checkpointPosition,
      checkpointAfterBytes: plan.checkpointAfterBytes,
      onFatal: options.fatal,
    });
    const ports = options.ports();
    const refused = (reason: string): void => options.fatal(new Error(reason));
    const windowMax = plan.publishWindowMax;
    this.sink = new Sink({ port: ports.sink, source: outbox, windowMax, clock, metrics, log, refused });
    this.intake = new Intake({
      port: ports.intake,
      subscriptions: [],
      hadSession: recovered.position > 0,
      unsettledMessagesMax: plan.unsettledMessagesMax,
      clock,
      metrics,
      log,
      receive: (delivery) => {
        const settled = options.receive(delivery);
        const settle = (): void => {
          settled();
          delivery.settle();
        };
        this.pipeline.receive({ ...delivery, settle });
      },
      sessionBegan: () => this.pipeline.sessionBegan(),
      refused,
    });
  }

  /** Throws what the opening of the state directory throws. */
  static async start(options: ProcessOptions): Promise<SimProcess> {
    const { life: clock, disk, plan, groups } = options;
    const metrics = new Metrics();
    await StateDirectory.make(disk, DIRECTORY);
    const { segmentBytes, blockBytesMax, reserveBytes, outboxBytesMax } = plan;
    const { state, recovered } = await StateDirectory.recover(
      { disk, directory: DIRECTORY, clock, metrics, segmentBytes, blockBytesMax, reserveBytes, outboxBytesMax },
      simModels.map(({ model }) => model),
      "continue",
    );
    options.recovered(state, recovered);
    const settings = settingsOf(groups);
    await state.models.keep(settings.groups.map(({ version }) => version));
    const outbox = await state.begin();
    const text = encodeEpochSettings(settings);
    if (recovered.position === 0 || encodeEpochSettings(state.fold.settings) !== text) await state.beginEpoch(text);
    return new SimProcess(options, metrics, state, outbox, recovered);
  }

  run(): void {
    this.sink.start();
    this.intake.start();
  }

  /** As `Runtime.stop` does it. */
  async stop(): Promise<void> {
    this.intake.stop();
    await this.pipeline.drain();
    await this.pipeline.checkpoint();
    this.pipeline.stop();
    this.isStopped = true;
    await this.sink.drain(1000);
    await this.intake.close();
    await this.sink.close();
    await this.state.close();
  }
}
