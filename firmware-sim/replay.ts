// Rows of the past published as if devices took them now, each stream a device of its own, at any speed. The readings keep the times of
// their rows; only the pace is new. Rows that repeat a time or go back in time follow at once: order is the file's.
import type { Clock } from "../src/base/clock.ts";
import { createRandom } from "../src/base/random.ts";
import type { Random } from "../src/base/random.ts";
import { payloadCodec } from "../src/message/codecs.ts";
import type { CodecName } from "../src/message/payload-codec.ts";
import type { ReadingTable, TableStream } from "../src/message/reading-table.ts";
import { Device } from "./device.ts";
import type { DeviceMessage, ReadingSource } from "./device.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { deviceTopic } from "./device-topic.ts";

export interface ReplayOptions {
  readonly table: ReadingTable;
  /** The name of the device of a stream without a key. */
  readonly name: string;
  /** How many times faster than the rows were taken; Infinity: as fast as there is room. */
  readonly speed: number;
  readonly batch?: number;
  readonly codec?: CodecName;
  readonly topic?: string;
  readonly clock: Clock;
  readonly memory: DeviceMemory;
  readonly nonces: Random;
  /** Takes a message; returns false where it has no room. */
  readonly publish: (message: DeviceMessage) => boolean;
  /** Resolves when there is room again. */
  readonly whenRoom: () => Promise<void>;
}

interface Player {
  readonly name: string;
  readonly stream: TableStream;
  readonly device: Device;
}

/** Rows published between two looks at the clock and the rest of the process. */
const ROWS_PER_TURN = 256;

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
  #isStopped = false;
  #wake: () => void = () => {};

  constructor(options: ReplayOptions) {
    const { table, topic = "sensors/{device}/readings", codec = "protobuf", batch = 1 } = options;
    this.#options = options;
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
    const { clock, memory, nonces, speed } = this.#options;
    const boots = await memory.nextBoots(this.#players.map((player) => player.name));
    for (const [index, { device }] of this.#players.entries())
      await this.#publish([device.start(boots[index]!, nonces.uint32() || 1)]);
    const { players, dueMs } = orderOf(this.#players.map((player) => player.stream));
    const rows = new Uint32Array(this.#players.length);
    const startedAtMs = clock.monotonicMs();
    for (let i = 0; i < players.length && !this.#isStopped; i++) {
      const waitMs = speed === Infinity ? 0 : (dueMs[i]! - dueMs[0]!) / speed - (clock.monotonicMs() - startedAtMs);
      if (waitMs > 0) await this.#pause(waitMs);
      else if (i % ROWS_PER_TURN === 0) await new Promise<void>((resolve) => clock.soon(resolve));
      if (this.#isStopped) break;
      const { device, stream } = this.#players[players[i]!]!;
      const row = rows[players[i]!]!++;
      this.counts.readings++;
      await this.#publish(device.sample(row, stream.times[row]!));
    }
    for (const { device } of this.#players) await this.#publish(device.flush());
  }

  /** Publishes no further rows; `run` resolves soon. */
  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** Sleeps until the time is up or the replay is stopped. */
  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(delayMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  async #publish(messages: readonly DeviceMessage[]): Promise<void> {
    for (const message of messages) {
      while (!this.#options.publish(message)) {
        if (this.#isStopped) return;
        await this.#options.whenRoom();
      }
      this.counts.messages++;
    }
  }
}
