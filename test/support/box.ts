// A runtime without broker and sockets, for tests of the pipeline: state directory, fold, pipeline and outbox on a disk and a clock that
// the test owns. `crash` forgets everything but the disk.
import { createRandom } from "../../src/base/random.ts";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import type { Delivery } from "../../src/message/delivery.ts";
import type { VerifyModel } from "../../src/engine/verify-model.ts";
import type { Model } from "../../src/model/model.ts";
import type { Outbox, OutboxEntry } from "../../src/pipeline/outbox.ts";
import type { FineTune } from "../../src/pipeline/commands.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Recovered } from "../../src/pipeline/recover.ts";
import { Routes } from "../../src/pipeline/routes.ts";
import { encodeEpochSettings } from "../../src/pipeline/settings.ts";
import { configSchema } from "../../src/runtime/config-schema.ts";
import type { Config } from "../../src/runtime/config-schema.ts";
import { Control, nothingTunes } from "../../src/runtime/control.ts";
import { EngineChoices } from "../../src/runtime/engine-choices.ts";
import type { ConfiguredGroup } from "../../src/runtime/groups.ts";
import { configureGroup, entriesOf } from "../../src/runtime/groups.ts";
import { ModelSwitch } from "../../src/runtime/model-switch.ts";
import { ownModel } from "../../src/runtime/own-model.ts";
import { planEpoch, versionsNamed } from "../../src/runtime/plan-epoch.ts";
import { StateDirectory } from "../../src/runtime/state-directory.ts";
import { FakeClock } from "./fake-clock.ts";
import { Life } from "./life.ts";
import { MemoryDisk } from "./memory-disk.ts";

export interface BoxOptions {
  readonly models: Readonly<Record<string, Model>>;
  /** As in a config; the model is one of `models` by the group's `model`. */
  readonly groups: readonly Readonly<Record<string, unknown>>[];
  readonly streamsMax?: number;
  readonly commands?: boolean;
  readonly durability?: Readonly<Record<string, unknown>>;
  /** Of the journal's files, so that a short run goes through several. */
  readonly segmentBytes?: number;
  readonly blockBytesMax?: number;
}

export interface Message {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos?: 0 | 1;
  readonly dup?: boolean;
  readonly retain?: boolean;
  readonly packetId?: number;
}

export class Box {
  readonly disk = new MemoryDisk();
  readonly clock = new FakeClock();
  /** Of the next start. */
  options: BoxOptions;
  readonly #random = createRandom(1);
  #life: Life | undefined;
  metrics = new Metrics();
  state!: StateDirectory;
  pipeline!: Pipeline;
  outbox!: Outbox;
  control!: Control;
  models!: ModelSwitch;
  /** What a model's file is held to before it is put in force. */
  verifyModel: VerifyModel = async () => {};
  /** Nothing learns here. */
  fineTune: FineTune = () => Promise.reject(nothingTunes());
  recovered!: Recovered;
  fatal: unknown;
  /** What the sink's broker has got, in order, over all lives. */
  readonly published: OutboxEntry[] = [];

  constructor(options: BoxOptions) {
    this.options = options;
  }

  #config(): Config {
    return configSchema.parse({
      node: "box",
      state: "/state",
      mqtt: { url: "mqtt://127.0.0.1" },
      durability: this.options.durability ?? {},
      streams: { max: this.options.streamsMax ?? 1000 },
      groups: this.options.groups,
    });
  }

  async start(): Promise<this> {
    const config = this.#config();
    this.metrics = new Metrics();
    this.fatal = undefined;
    const groups: ConfiguredGroup[] = [];
    for (const group of config.groups) {
      const model = group.model === undefined ? await ownModel(group) : this.options.models[group.model]!;
      groups.push(configureGroup(group, model, config.timezone, []));
    }
    this.#life = new Life(this.clock, this.disk);
    const { metrics } = this;
    const { disk, clock } = this.#life;
    await StateDirectory.make(disk, config.state);
    const { state, recovered } = await StateDirectory.recover(
      {
        disk,
        directory: config.state,
        clock,
        random: this.#random,
        metrics,
        segmentBytes: this.options.segmentBytes ?? 64 * 1024,
        blockBytesMax: this.options.blockBytesMax ?? 32 * 1024,
        reserveBytes: 80 * 1024,
      },
      groups.map(({ model }) => model),
      config.durability.onDamage,
    );
    this.recovered = recovered;
    const choices = await EngineChoices.load(disk, config.state);
    const { models, fold } = state;
    const plan = { node: config.node, groups, present: fold.groups, choices, models, nowMs: clock.wallMs() };
    const settings = await planEpoch(plan);
    await models.keep(versionsNamed(settings));
    this.outbox = await state.begin();
    const text = encodeEpochSettings(settings);
    if (this.recovered.position === 0 || encodeEpochSettings(state.fold.settings) !== text) await state.beginEpoch(text);
    const streamsMax = config.streams.max;
    this.state = state;
    this.pipeline = new Pipeline({
      node: config.node,
      fold: state.fold,
      journal: state.journal,
      checkpoints: state.checkpoints,
      reserve: state.reserve,
      durability: { mode: config.durability.mode, lingerMs: config.durability.linger ?? 0 },
      bytesPerSecond: Infinity,
      outbox: this.outbox,
      routes: new Routes(config.node, entriesOf(groups, state.fold.settings), {
        commands: this.options.commands ?? false,
        streamsMax,
      }),
      fineTune: (group) => this.fineTune(group),
      clock,
      log: silentLog,
      metrics,
      streamsMax,
      streamExpiryMs: config.streams.expireAfter,
      checkpointPosition: this.recovered.checkpointPosition,
      onCheckpoint: (safePosition) => void models.sweep(safePosition),
      onFatal: (thrown) => {
        this.fatal = thrown;
      },
    });
    this.models = new ModelSwitch({
      fold,
      pipeline: this.pipeline,
      models,
      choices,
      groups: config.groups,
      disk,
      clock,
      log: silentLog,
      verifyModel: (file) => this.verifyModel(file),
    });
    this.control = new Control(fold, this.pipeline, this.models, this.#random);
    return this;
  }

  /** Hands a message over; resolves when it is settled. */
  deliver(message: Message): Promise<void> {
    return new Promise((settle) => {
      this.pipeline.receive(this.delivery(message, settle));
    });
  }

  delivery(message: Message, settle: () => void): Delivery {
    const { topic, payload, qos = 1, dup = false, retain = false, packetId = 1 } = message;
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const receivedAt = this.clock.wallMs();
    return { topic, payload: bytes, qos, dup, retain, packetId, receivedAt, clockSynced: this.clock.isSynced(), settle };
  }

  /** The sink's broker takes and confirms all there is. */
  publishAll(): void {
    for (let entry = this.outbox.next(); entry !== undefined; entry = this.outbox.next()) {
      this.published.push(entry);
      this.outbox.confirm(entry);
    }
  }

  /** The process is gone; with a seed the power too. */
  crash(seed?: number): void {
    this.#life?.end();
    this.disk.intercept = () => {};
    if (seed !== undefined) this.disk.powerCut(createRandom(seed));
  }

  counters(prefix: string): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.metrics.snapshot()).filter(([name, value]) => name.startsWith(prefix) && value !== 0),
    );
  }
}

export function text(payload: Uint8Array): string {
  return Buffer.from(payload).toString();
}
