// Rows of the past published as if devices took them now, each stream a device of its own, at any speed. The readings keep the times of
// their rows; only the pace is new. Rows that repeat a time or go back in time follow at once: order is the file's.
import { createRandom } from "../src/base/random.ts";
import type { Random } from "../src/base/random.ts";
import { payloadCodec } from "../src/message/codecs.ts";
import type { CodecName } from "../src/message/payload-codec.ts";
import type { ReadingTable, TableStream } from "../src/message/reading-table.ts";
import { Device } from "./device.ts";
import type { DeviceMessage, ReadingSource } from "./device.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { deviceTopic } from "./device-topic.ts";
import { Pace } from "./pace.ts";
import type { PaceOptions } from "./pace.ts";

export interface ReplayOptions extends PaceOptions {
  readonly table: ReadingTable;
  /** The name of the device of a stream without a key. */
  readonly name: string;
  readonly batch?: number;
  readonly codec?: CodecName;
  readonly topic?: string;
  readonly memory: DeviceMemory;
  readonly nonces: Random;
}

interface Player {
  readonly name: string;
  readonly stream: TableStream;
  readonly device: Device;
}

function sourceOf(table: ReadingTable, stream: TableStream): ReadingSource {
  const width = table.features.length;
  return {
    features: table.features.map((name) => ({ name, unit: "" })),
    read(step, values, missing) {
      for (let d = 0; d < width; d++) {
        const value = stream.values[step * width + d]!;
        values[d] = value;
        if (Number.isNaN(value)) {
          values[d] = 0;
          missing[d] = 1;
        }
      }
    },
  };
}

/** All rows by the moment they are due: indices of players, rising rows of each. */
function orderOf(streams: readonly TableStream[]): { readonly players: Uint32Array; readonly dueMs: Float64Array } {
  const total = streams.reduce((sum, stream) => sum + stream.count, 0);
  const owners = new Uint32Array(total);
  const due = new Float64Array(total);
  let at = 0;
  streams.forEach((stream, index) => {
    let latest = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < stream.count; row++, at++) {
      latest = Math.max(latest, stream.times[row]!);
      owners[at] = index;
      due[at] = latest;
    }
  });
  const order = Uint32Array.from(due.keys()).toSorted((one, other) => due[one]! - due[other]! || one - other);
  return { players: order.map((index) => owners[index]!), dueMs: Float64Array.from(order, (index) => due[index]!) };
}

export class Replay {
  readonly counts = { readings: 0, messages: 0 };
  readonly #options: ReplayOptions;
  readonly #players: readonly Player[];
  readonly #pace: Pace;

  constructor(options: ReplayOptions) {
    const { table, topic = "sensors/{device}/readings", codec = "protobuf", batch = 1 } = options;
    this.#options = options;
    this.#pace = new Pace(options);
    this.#players = table.streams.map((stream) => {
      const name = stream.key === "" ? options.name : stream.key;
      const device = new Device({
        topic: deviceTopic(topic, name),
        source: sourceOf(table, stream),
        codec: payloadCodec(codec),
        batch,
        clock: true,
        identity: true,
        repeatChance: 0,
        random: createRandom(0),
      });
      return { name, stream, device };
    });
  }

  /** Publishes every row, in order; resolves when the last one has been taken or the replay was stopped. */
  async run(): Promise<void> {
    const { memory, nonces } = this.#options;
    const boots = await memory.nextBoots(this.#players.map((player) => player.name));
    for (const [index, { device }] of this.#players.entries())
      await this.#publish([device.start(boots[index]!, nonces.uint32() || 1)]);
    const { players, dueMs } = orderOf(this.#players.map((player) => player.stream));
    const rows = new Uint32Array(this.#players.length);
    for (let i = 0; i < players.length && !this.#pace.isStopped; i++) {
      await this.#pace.due(dueMs[i]!);
      if (this.#pace.isStopped) break;
      const { device, stream } = this.#players[players[i]!]!;
      const row = rows[players[i]!]!++;
      this.counts.readings++;
      await this.#publish(device.sample(row, stream.times[row]!));
    }
    for (const { device } of this.#players) await this.#publish(device.flush());
  }

  /** Publishes no further rows; `run` resolves soon. */
  stop(): void {
    this.#pace.stop();
  }

  async #publish(messages: readonly DeviceMessage[]): Promise<void> {
    for (const message of messages) if (await this.#pace.publish(message)) this.counts.messages++;
  }
}
