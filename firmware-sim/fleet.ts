// Many simulated devices at one rate, spread evenly over the interval, in one process. The fleet decides when each samples; what a
// message is, the device knows, and where it goes, whoever gave `publish`.
import type { Clock, Timer } from "../src/base/clock.ts";
import { HiddenstateError } from "../src/base/errors.ts";
import { createRandom } from "../src/base/random.ts";
import type { Random } from "../src/base/random.ts";
import { payloadCodec } from "../src/message/codecs.ts";
import type { CodecName } from "../src/message/payload-codec.ts";
import { Device } from "./device.ts";
import type { DeviceClock, DeviceMessage } from "./device.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { deviceTopic } from "./device-topic.ts";
import type { SignalKind } from "./signals.ts";
import { createSimulatedSource, deviceName } from "./simulated-source.ts";
import type { SimulatedFaults, SimulatedSource } from "./simulated-source.ts";

/**
 * `repeat`: messages sent again. `restart`: devices that reboot and lose what they had batched. `clock-offset`: clocks up to an hour
 * off. `no-clock`: readings without a time; together with `clock-offset` every second device has either. `no-identity`: neither boot nor
 * sequence.
 */
export type Quirk = "repeat" | "restart" | "clock-offset" | "no-clock" | "no-identity";

export const quirks: readonly Quirk[] = ["repeat", "restart", "clock-offset", "no-clock", "no-identity"];

export interface FleetOptions {
  readonly devices: number;
  /** Readings a second of each device. */
  readonly rate: number;
  /** Of signals, faults and quirks. Nonces come from `nonces`. */
  readonly seed: number;
  readonly signal: SignalKind;
  readonly faults?: SimulatedFaults;
  readonly quirks?: readonly Quirk[];
  /** Readings in a message; default 1. */
  readonly batch?: number;
  /** Default protobuf. */
  readonly codec?: CodecName;
  /** Default `sensors/{device}/readings`. */
  readonly topic?: string;
  readonly clock: Clock;
  readonly memory: DeviceMemory;
  /** Must differ from run to run: a nonce tells one boot from another. */
  readonly nonces: Random;
  /** Takes a message, or returns false where it has no room: it is then lost, as on a device whose buffer is full. */
  readonly publish: (message: DeviceMessage) => boolean;
}

export interface FleetCounts {
  readings: number;
  messages: number;
  repeated: number;
  restarts: number;
  droppedReadings: number;
}

interface Member {
  readonly name: string;
  readonly device: Device;
  readonly source: SimulatedSource;
  /** The first step it samples again; infinite while it boots. */
  onFrom: number;
}

const REPEAT_CHANCE = 0.02;
const RESTART_CHANCE = 1 / 500;
/** Steps a restarting device is off. */
const OFF_STEPS = 5;
const OFFSET_MS_MAX = 3_600_000;
/** How far the pace may fall behind before it slips instead of bursting. */
const LAG_MS_MAX = 1000;
const TICK_MS_MIN = 5;
const OFFSET_TOLERANCE_MS = 20;

export class Fleet {
  readonly counts: FleetCounts = { readings: 0, messages: 0, repeated: 0, restarts: 0, droppedReadings: 0 };
  readonly #options: FleetOptions;
  readonly #members: readonly Member[];
  readonly #random: Random;
  readonly #intervalMs: number;
  #timer: Timer | undefined;
  #startedAtMs = 0;
  /** The wall clock's lead over the monotonic one. */
  #wallOffsetMs = Number.NEGATIVE_INFINITY;
  #firstStep = 0;
  /** Samples due so far, over all devices. */
  #next = 0;
  #isStopped = false;
  #failed: (error: unknown) => void = () => {};
  /** Rejects when a device's boot counter cannot be kept; otherwise never settles. */
  readonly failure: Promise<never>;

  constructor(options: FleetOptions) {
    const { devices, rate, seed, signal, topic = "sensors/{device}/readings", batch = 1, codec = "protobuf" } = options;
    if (!(devices >= 1 && rate > 0 && batch >= 1)) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot simulate ${devices} devices at ${rate} a second in batches of ${batch}: all must be above 0`,
      );
    }
    this.#options = options;
    this.#intervalMs = 1000 / rate;
    this.#random = createRandom(seed);
    const has = (quirk: Quirk): boolean => options.quirks?.includes(quirk) === true;
    this.#members = Array.from({ length: devices }, (_, index) => {
      const random = this.#random.fork();
      const isClockless = has("no-clock") && (!has("clock-offset") || index % 2 === 0);
      const offsetMs = Math.round((2 * random.next() - 1) * OFFSET_MS_MAX);
      const clock: DeviceClock = isClockless ? "none" : has("clock-offset") ? offsetMs : true;
      const name = deviceName(index);
      const source = createSimulatedSource(signal, seed, index, options.faults);
      const device = new Device({
        topic: deviceTopic(topic, name),
        source,
        codec: payloadCodec(codec),
        batch,
        clock,
        random,
        identity: !has("no-identity"),
        repeatChance: has("repeat") ? REPEAT_CHANCE : 0,
      });
      return { name, device, source, onFrom: 0 };
    });
    this.failure = new Promise((_, reject) => (this.#failed = reject));
    this.failure.catch(() => {});
  }

  /** The devices' names, in order. */
  get names(): readonly string[] {
    return this.#members.map((member) => member.name);
  }

  /** The source of a device: its features, and the truth about its faults. */
  source(index: number): SimulatedSource {
    return this.#members[index]!.source;
  }

  /** The step that the devices are at. */
  get step(): number {
    return this.#firstStep + Math.floor(this.#next / this.#members.length);
  }

  /** Boots every device, publishes the layouts and begins to sample. */
  async start(): Promise<void> {
    const { clock, memory } = this.#options;
    await this.#boot(this.#members);
    this.#firstStep = Math.max(0, Math.round((clock.wallMs() - memory.worldStartedAt) / this.#intervalMs));
    this.#startedAtMs = clock.monotonicMs();
    if (!this.#isStopped) this.#tick();
  }

  /** Samples no more and publishes what is batched. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const { device, onFrom } of this.#members) if (Number.isFinite(onFrom)) this.#publish(device.flush());
  }

  async #boot(members: readonly Member[]): Promise<void> {
    const boots = await this.#options.memory.nextBoots(members.map((member) => member.name));
    if (this.#isStopped) return;
    members.forEach(({ device }, index) => {
      // A nonce is never 0.
      this.#publish([device.start(boots[index]!, this.#options.nonces.uint32() || 1)]);
    });
  }

  #tick(): void {
    const { clock } = this.#options;
    const spacingMs = this.#intervalMs / this.#members.length;
    const now = clock.monotonicMs();
    const lagMs = now - (this.#startedAtMs + this.#next * spacingMs);
    if (lagMs > LAG_MS_MAX) this.#startedAtMs += lagMs;
    // Wall clocks count whole milliseconds: following each reading of them would make even intervals uneven.
    const wallOffsetMs = clock.wallMs() - now;
    if (Math.abs(wallOffsetMs - this.#wallOffsetMs) > OFFSET_TOLERANCE_MS) this.#wallOffsetMs = wallOffsetMs;
    while (!this.#isStopped) {
      const dueMs = this.#startedAtMs + this.#next * spacingMs;
      if (dueMs > now) {
        this.#timer = clock.after(Math.max(TICK_MS_MIN, dueMs - now), () => this.#tick());
        return;
      }
      this.#sample(this.#members[this.#next % this.#members.length]!, this.step, Math.round(dueMs + this.#wallOffsetMs));
      this.#next++;
    }
  }

  #sample(member: Member, step: number, timeMs: number): void {
    if (step < member.onFrom) return;
    this.counts.readings++;
    this.#publish(member.device.sample(step, timeMs));
    if (this.#options.quirks?.includes("restart") === true && this.#random.next() < RESTART_CHANCE) this.#restart(member, step);
  }

  #restart(member: Member, step: number): void {
    this.counts.restarts++;
    member.onFrom = Number.POSITIVE_INFINITY;
    this.#boot([member]).then(
      () => (member.onFrom = step + OFF_STEPS),
      (error: unknown) => this.#failed(error),
    );
  }

  #publish(messages: readonly DeviceMessage[]): void {
    for (const message of messages) {
      if (this.#options.publish(message)) {
        this.counts.messages++;
        if (message.repeated) this.counts.repeated++;
      } else if (!message.repeated) {
        this.counts.droppedReadings += message.readings;
      }
    }
  }
}

/** A fleet, not yet started. Throws `bad_argument` for a count, rate or topic that cannot be. */
export function createFleet(options: FleetOptions): Fleet {
  return new Fleet(options);
}
