// Tells the broker what there is: that the runtime is up, how it is doing, its streams, and each stream as a device of Home Assistant. It looks
// at the durable state once a second and says what has changed, and says everything again after a new connection, and when Home Assistant has started.
import type { Clock, Timer } from "../base/clock.ts";
import type { Metrics } from "../base/metrics.ts";
import { limits } from "../base/limits.ts";
import { BRIDGE_OFFLINE, BRIDGE_ONLINE, encodeBudget, encodeHealth, encodeStreams } from "../message/bridge.ts";
import type { BridgeHealth } from "../message/bridge.ts";
import type { Delivery } from "../message/delivery.ts";
import { discoveryTopic, encodeDiscovery, HOME_ASSISTANT_ONLINE, homeAssistantStatusTopic } from "../message/home-assistant.ts";
import { budgetTopic, healthTopic, latestTopic, predictionTopic, stateTopic, streamsTopic } from "../message/topics.ts";
import { shortVersion } from "../model/model.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Announcements } from "./announcements.ts";

/** Takes back what is retained. */
const NOTHING = new Uint8Array(0);

export interface BridgeOptions {
  readonly node: string;
  readonly announcements: Announcements;
  readonly fold: Fold;
  readonly clock: Clock;
  /** Where Home Assistant looks for devices; undefined: streams are not announced. */
  readonly homeAssistant: string | undefined;
  /** Where streams were announced by the config before, if nowhere any more. */
  readonly formerHomeAssistant: string | undefined;
  readonly takesCommands: boolean;
  /** Whether a group's model can be fine-tuned. */
  readonly tunes: (group: string) => boolean;
  /** Resolves when all that has happened so far is durable. */
  readonly settled: () => Promise<void>;
  readonly health: (upSeconds: number) => Omit<BridgeHealth, "time" | "streams">;
}

/** What counters say of a runtime's health. */
export function healthOf(
  metrics: Metrics,
  facts: Pick<BridgeHealth, "intakeUp" | "unconfirmed" | "upSeconds">,
): Omit<BridgeHealth, "time" | "streams"> {
  let [readingsRefused, messagesRefused] = [0, 0];
  const values = metrics.snapshot();
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("readings_refused")) readingsRefused += value;
    if (name.startsWith("messages_refused")) messagesRefused += value;
  }
  const diskFull = (values["disk_full"] ?? 0) > 0;
  return { ...facts, diskFull, readingsAccepted: values["readings_accepted"] ?? 0, readingsRefused, messagesRefused };
}

export class Bridge {
  readonly #options: BridgeOptions;
  /** By stream, what was said of it: its group, version and budget. */
  readonly #announced = new Map<string, string>();
  /** What of the streams' changes has been said; -1: nothing. */
  #said = -1;
  #isSettling = false;
  #isOver = false;
  #healthAtMs = -Infinity;
  readonly #startedAtMs: number;
  #look: Timer | undefined;

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.monotonicMs();
  }

  start(): void {
    const { formerHomeAssistant: former, fold, node, announcements } = this.#options;
    if (former !== undefined) {
      for (const [stream, { group }] of fold.streams()) {
        announcements.offer(discoveryTopic(former, node, stream), () => NOTHING);
        if (group.scores !== undefined) announcements.offer(budgetTopic(node, stream), () => NOTHING);
      }
    }
    this.#lookAgain();
  }

  /** A connection stands: the broker may have said that we are gone, and may have forgotten everything. */
  connected(): void {
    const { announcements, node } = this.#options;
    announcements.offer(stateTopic(node), () => BRIDGE_ONLINE);
    this.#sayAll();
  }

  /** Whether a message is Home Assistant's, and then heard. */
  hears({ topic, payload }: Pick<Delivery, "topic" | "payload">): boolean {
    const { homeAssistant } = this.#options;
    if (homeAssistant === undefined || topic !== homeAssistantStatusTopic(homeAssistant)) return false;
    if (Buffer.from(payload).toString() === HOME_ASSISTANT_ONLINE) this.#sayAll();
    return true;
  }

  /** Takes leave. */
  stop(): void {
    this.#isOver = true;
    this.#look?.cancel();
    const { announcements, node } = this.#options;
    announcements.forget();
    announcements.offer(stateTopic(node), () => BRIDGE_OFFLINE);
  }

  #sayAll(): void {
    this.#announced.clear();
    this.#said = -1;
    this.#healthAtMs = -Infinity;
  }

  #lookAgain(): void {
    this.#look = this.#options.clock.after(limits.bridgeLookMs, () => {
      this.#sayHealth();
      this.#sayStreams();
      this.#lookAgain();
    });
  }

  #sayHealth(): void {
    const { announcements, node, clock, fold, health } = this.#options;
    const now = clock.monotonicMs();
    if (now < this.#healthAtMs + limits.bridgeHealthMs) return;
    this.#healthAtMs = now;
    announcements.offer(healthTopic(node), () => {
      const upSeconds = Math.round((clock.monotonicMs() - this.#startedAtMs) / 1000);
      return encodeHealth({ time: clock.wallMs(), streams: fold.streamCount, ...health(upSeconds) });
    });
  }

  /** A stream is announced once it is durable: one that a crash may still undo would stay there for ever. */
  #sayStreams(): void {
    const { fold, settled } = this.#options;
    if (this.#isSettling || fold.streamChanges === this.#said) return;
    this.#isSettling = true;
    this.#said = fold.streamChanges;
    const fresh = this.#notAnnounced();
    void settled().then(() => {
      this.#isSettling = false;
      if (this.#isOver) return;
      this.#sayWhichStreams();
      this.#sayDevices(fresh);
    });
  }

  #sayWhichStreams(): void {
    const { announcements, node, fold } = this.#options;
    announcements.offer(streamsTopic(node), () => {
      const some: { stream: string; group: string }[] = [];
      for (const [stream, { group }] of fold.streams()) {
        if (some.length === limits.bridgeStreamsMax) break;
        some.push({ stream, group: group.settings.name });
      }
      return encodeStreams(fold.streamCount, some);
    });
  }

  /** Streams of which there is something new to say. */
  #notAnnounced(): string[] {
    const { homeAssistant, fold } = this.#options;
    if (homeAssistant === undefined) return [];
    // What was retained for those that are gone, their events take back.
    for (const stream of this.#announced.keys()) if (fold.find(stream) === undefined) this.#announced.delete(stream);
    const fresh: string[] = [];
    for (const [stream, { group, row }] of fold.streams()) {
      const { scores, settings } = group;
      const budget = scores && [scores.budgetOf(row), scores.notes.budgetOf(row)];
      const says = JSON.stringify([settings.name, settings.version, budget]);
      if (this.#announced.get(stream) === says) continue;
      this.#announced.set(stream, says);
      fresh.push(stream);
    }
    return fresh;
  }

  #sayDevices(streams: readonly string[]): void {
    const { announcements, homeAssistant, node, fold, takesCommands } = this.#options;
    if (homeAssistant === undefined) return;
    for (const stream of streams) {
      announcements.offer(discoveryTopic(homeAssistant, node, stream), () => this.#deviceOf(stream));
      if (takesCommands && fold.find(stream)?.group.scores !== undefined)
        announcements.offer(budgetTopic(node, stream), () => this.#budgetOf(stream));
    }
  }

  /** The announcement of a stream, if it still is there when its turn comes. */
  #deviceOf(stream: string): Uint8Array {
    const group = this.#options.fold.find(stream)?.group;
    if (group === undefined) return NOTHING;
    const { node, takesCommands, tunes } = this.#options;
    const { name, version, score, predictions } = group.settings;
    return encodeDiscovery({
      node,
      stream,
      group: name,
      version: shortVersion(version),
      outputs: group.model.spec.outputs,
      isScored: score !== undefined,
      predictionTopic: predictions.latest ? latestTopic(node, stream) : predictionTopic(node, stream),
      takesCommands,
      tunes: tunes(name),
    });
  }

  #budgetOf(stream: string): Uint8Array {
    const { group, row } = this.#options.fold.find(stream) ?? {};
    if (group?.scores === undefined || row === undefined) return NOTHING;
    const own = group.scores.notes.budgetOf(row) !== undefined;
    return encodeBudget({ stream, perWeek: group.scores.budgetOf(row), own });
  }
}
