// Listens on a broker, like any other client, to what devices publish and what the runtime predicts of it, and keeps for each stream the
// last of both and how far off the predictions were.
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { payloadCodec } from "../message/codecs.ts";
import { decodePrediction } from "../message/prediction.ts";
import { parseTopicPattern } from "../message/topic-pattern.ts";
import { TOPIC_ROOT } from "../message/topics.ts";
import { outputFeatures } from "../model/forecast-outputs.ts";
import type { ModelSpec } from "../model/spec.ts";
import { createMqttPort } from "../mqtt/mqttjs-port.ts";
import type { InboundPacket, PacketPort } from "../mqtt/packet-port.ts";
import type { LiveRow } from "./live-table.ts";

export interface PredictionWatchOptions {
  readonly url: string;
  readonly node: string;
  /** The pattern of the readings' topics. */
  readonly topic: string;
  readonly spec: ModelSpec;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Watched {
  step: number;
  value: number;
  prediction: number;
  errors: number[];
}

const ERRORS_KEPT = 24;

export class PredictionWatch {
  readonly #options: PredictionWatchOptions;
  readonly #port: PacketPort;
  readonly #streams = new Map<string, Watched>();
  readonly #features: readonly string[];
  /** The feature that the first output forecasts. */
  readonly #target: number;
  #predictions = 0;

  constructor(options: PredictionWatchOptions) {
    const { url, node, spec, clock, random, log } = options;
    this.#options = options;
    this.#features = spec.features.map(({ name }) => name);
    this.#target = outputFeatures(spec)[0]!;
    this.#port = createMqttPort({ url, clientId: `${node}-watch`, sessionExpirySeconds: 0, clock, random, log });
  }

  /** Readings that a prediction has come for. */
  get predictions(): number {
    return this.#predictions;
  }

  /** Resolves once everything published from now on will be seen. */
  start(): Promise<void> {
    const { node, topic } = this.#options;
    const pattern = parseTopicPattern(topic);
    const filters = [pattern.filter, `${TOPIC_ROOT}/${node}/prediction/+`];
    return new Promise((resolve, reject) => {
      this.#port.open({
        up: () => {
          this.#port.subscribe(filters.map((filter) => ({ filter, qos: 1, retained: false }))).then(resolve, reject);
        },
        down: () => {},
        refused: (reason) => reject(new HiddenstateError("broker_refused", `cannot watch the broker: ${reason}`)),
        packet: (packet) => {
          this.#take(packet, pattern.match(packet.topic));
          this.#port.acknowledge(packet.packetId);
        },
      });
    });
  }

  #take(packet: InboundPacket, stream: string | undefined): void {
    if (stream !== undefined) this.#takeReadings(stream, packet.payload);
    else this.#takePrediction(packet.payload);
  }

  #watched(stream: string): Watched {
    let watched = this.#streams.get(stream);
    if (watched === undefined) {
      watched = { step: 0, value: Number.NaN, prediction: Number.NaN, errors: [] };
      this.#streams.set(stream, watched);
    }
    return watched;
  }

  #takeReadings(stream: string, payload: Uint8Array): void {
    const watched = this.#watched(stream);
    for (const { count, values } of payloadCodec("protobuf").decode(payload, this.#features, () => undefined)) {
      watched.value = values[(count - 1) * this.#features.length + this.#target]!;
      const error = Math.abs(watched.prediction - watched.value);
      if (Number.isFinite(error)) watched.errors = [...watched.errors, error].slice(-ERRORS_KEPT);
    }
  }

  #takePrediction(payload: Uint8Array): void {
    const { stream, count, outputs } = decodePrediction("protobuf", payload);
    const watched = this.#watched(stream);
    watched.step += count;
    // A scored group's readings have more outputs than the model.
    watched.prediction = outputs[(count - 1) * (outputs.length / count)]!;
    this.#predictions += count;
  }

  /** The streams by name; `stepsBefore` counts what was stepped before the watch began. */
  rows(stepsBefore: ReadonlyMap<string, number>): LiveRow[] {
    return Array.from(this.#streams, ([stream, { step, value, prediction, errors }]) => ({
      stream,
      step: step + (stepsBefore.get(stream) ?? 0),
      value,
      prediction,
      errors,
    })).toSorted((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  close(): Promise<void> {
    return this.#port.close();
  }
}
