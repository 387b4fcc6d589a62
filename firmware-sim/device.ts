// One simulated device: it samples a source, numbers its readings, batches them and says who it is. Pure: it is handed the time and
// the boot number, draws from its own Random, and returns the messages it would publish.
import { layoutHash, encodeLayout } from "../src/message/layout.ts";
import type { Random } from "../src/base/random.ts";
import type { PayloadCodec } from "../src/message/payload-codec.ts";
import { layoutTopic } from "../src/message/topics.ts";

export interface DeviceMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** How many readings it carries; 0 for a layout. */
  readonly readings: number;
  /** It was published before. */
  readonly repeated: boolean;
}

/** Where a device's readings come from. */
export interface ReadingSource {
  readonly features: readonly { readonly name: string; readonly unit: string }[];
  /** Writes the values of a step, and 1 for each that is missing; `missing` comes zero-filled. */
  read(step: number, values: Float64Array, missing: Uint8Array): void;
}

/** `true`: the device knows the time. A number: its clock is off by so many milliseconds. `none`: it has no clock. */
export type DeviceClock = true | number | "none";

export interface DeviceOptions {
  readonly topic: string;
  readonly source: ReadingSource;
  readonly codec: PayloadCodec;
  /** Readings in a message. */
  readonly batch: number;
  readonly clock: DeviceClock;
  /** Whether readings carry boot, nonce and sequence. */
  readonly identity: boolean;
  /** The chance that a message is followed by a repetition of the last one to three. */
  readonly repeatChance: number;
  readonly random: Random;
}

const REPEATED_MAX = 3;

export class Device {
  readonly #options: DeviceOptions;
  readonly #names: readonly string[];
  readonly #layout: number;
  readonly #values: Float64Array;
  readonly #missing: Uint8Array;
  readonly #batchValues: Float32Array;
  readonly #batchMissing: Uint8Array;
  readonly #batchTimes: Float64Array;
  readonly #recent: DeviceMessage[] = [];
  #boot = 0;
  #nonce = 0;
  /** Of the next reading. */
  #sequence = 0;
  #batched = 0;

  constructor(options: DeviceOptions) {
    const { source, batch } = options;
    const width = source.features.length;
    this.#options = options;
    this.#names = source.features.map((feature) => feature.name);
    this.#layout = layoutHash(this.#names);
    this.#values = new Float64Array(width);
    this.#missing = new Uint8Array(width);
    this.#batchValues = new Float32Array(batch * width);
    this.#batchMissing = new Uint8Array(batch * width);
    this.#batchTimes = new Float64Array(batch);
  }

  get topic(): string {
    return this.#options.topic;
  }

  get boot(): number {
    return this.#boot;
  }

  /** Switches the device on: sequences begin at 0, what was batched is lost. Returns its retained layout. */
  start(boot: number, nonce: number): DeviceMessage {
    this.#boot = boot;
    this.#nonce = nonce;
    this.#sequence = 0;
    this.#batched = 0;
    this.#recent.length = 0;
    const units = this.#options.source.features.map((feature) => feature.unit);
    const payload = encodeLayout({ names: this.#names, units });
    return { topic: layoutTopic(this.#options.topic), payload, retain: true, readings: 0, repeated: false };
  }

  /** Takes the reading of a step at a moment, whole milliseconds since 1970; returns what is published then, in order. */
  sample(step: number, timeMs: number): readonly DeviceMessage[] {
    const { source, batch, clock } = this.#options;
    const width = this.#values.length;
    this.#missing.fill(0);
    source.read(step, this.#values, this.#missing);
    this.#batchValues.set(this.#values, this.#batched * width);
    this.#batchMissing.set(this.#missing, this.#batched * width);
    this.#batchTimes[this.#batched] = clock === "none" ? Number.NaN : Math.max(1, timeMs + (clock === true ? 0 : clock));
    this.#batched++;
    this.#sequence++;
    return this.#batched < batch ? [] : this.flush();
  }

  /** Publishes what is batched, full or not. */
  flush(): readonly DeviceMessage[] {
    if (this.#batched === 0) return [];
    const message = this.#message();
    const { random, repeatChance } = this.#options;
    this.#recent.push({ ...message, repeated: true });
    if (this.#recent.length > REPEATED_MAX) this.#recent.shift();
    if (repeatChance === 0 || random.next() >= repeatChance) return [message];
    return [message, ...this.#recent.slice(random.uint32() % this.#recent.length)];
  }

  #message(): DeviceMessage {
    const { codec, identity, topic } = this.#options;
    const count = this.#batched;
    const first = this.#sequence - count;
    const cells = count * this.#names.length;
    const missing = this.#batchMissing.subarray(0, cells);
    this.#batched = 0;
    const readings = {
      part: undefined,
      identity: identity ? { boot: this.#boot, nonce: this.#nonce } : undefined,
      count,
      sequences: identity ? Float64Array.from({ length: count }, (_, i) => first + i) : new Float64Array(0),
      times: this.#batchTimes.subarray(0, count),
      values: this.#batchValues.subarray(0, cells),
      missing: missing.includes(1) ? missing : undefined,
    };
    return { topic, payload: codec.encode(readings, this.#names, this.#layout), retain: false, readings: count, repeated: false };
  }
}
