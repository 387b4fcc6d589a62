// A device: it reads at an interval and sends, with whatever devices get wrong. It knows nothing of what becomes of its messages.
import { payloadCodec } from "../../src/message/codecs.ts";
import type { Readings } from "../../src/message/reading.ts";
import type { Random } from "../../src/base/random.ts";
import { BOOT_SILENCE_MS } from "./fault-plan.ts";
import type { FaultClass, Plan } from "./fault-plan.ts";
import type { Flaw, SimMessage, SimReading, SimReadings } from "./sim-message.ts";
import { simModels } from "./sim-models.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** `counted`: boot and sequence. `timed`: only a time. `constant`: neither, and always the same values. */
type Kind = "counted" | "timed" | "constant";

const KEPT_READINGS = 6;

export class SimDevice {
  readonly key: string;
  readonly group: number;
  readonly #kind: Kind;
  readonly #qos: 0 | 1;
  readonly #sendsTimes: boolean;
  readonly #time: VirtualClock;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #send: (message: SimMessage) => void;
  readonly #nextId: () => number;
  #left: number;
  #boot = 1;
  #nonce: number;
  #sequence = 0;
  #clockMs: number;
  #recent: SimReading[] = [];
  /** Before the next message, on top of the interval. */
  #pauseMs = 0;
  /** Messages on their way to the broker by a longer path. */
  #underWay = 0;

  constructor(index: number, messages: number, time: VirtualClock, plan: Plan, random: Random, broker: DeviceBroker) {
    this.#plan = plan;
    this.key = `d${index}`;
    this.group = index % plan.groups.length;
    this.#kind = (["counted", "counted", "counted", "timed", "constant"] as const)[random.uint32() % 5]!;
    if (this.#kind === "constant" && !this.#isTold) this.#kind = "timed";
    this.#qos = random.next() < 0.2 ? 0 : 1;
    this.#sendsTimes = this.#kind === "timed" || (this.#kind === "counted" && random.next() < 0.5);
    this.#time = time;
    this.#random = random;
    this.#send = broker.take;
    this.#nextId = broker.nextId;
    this.#left = messages;
    this.#nonce = random.uint32() >>> 1 || 1;
    this.#clockMs = Date.UTC(2026, 0, 1) + index;
    this.#next();
  }

  get isDone(): boolean {
    return this.#left === 0 && this.#underWay === 0;
  }

  /**
   * Whether equal messages without identity can be told from one message sent again. They cannot where packet ids come back at once, or
   * where damage takes away that a session began.
   */
  get #isTold(): boolean {
    const { faults } = this.#plan;
    return !faults.has("lowestIds") && !(faults.has("rot") && faults.has("sessionLoss"));
  }

  #chance(name: FaultClass, share: number): boolean {
    return this.#plan.faults.has(name) && this.#random.next() < share;
  }

  #next(): void {
    if (this.#left === 0) return;
    this.#time.schedule(this.#pauseMs + this.#plan.intervalMs * (0.2 + 1.6 * this.#random.next()), () => {
      this.#pauseMs = 0;
      this.#left--;
      this.#act();
      this.#next();
    });
  }

  #act(): void {
    if (this.#chance("reboots", 0.04)) this.#reboot(this.#boot + 1);
    if (this.#chance("lostCounters", 0.02)) return this.#loseCounter();
    if (this.#chance("expiry", 0.02)) this.#pauseMs = 1.5 * this.#plan.expiryMs;
    this.#measure();
  }

  /** Starts anew with a number it has had; sometimes it is off for so long that this is believed. */
  #loseCounter(): void {
    this.#reboot(1 + (this.#random.uint32() % this.#boot));
    if (this.#random.next() < 0.2) this.#pauseMs = BOOT_SILENCE_MS;
  }

  #measure(): void {
    if (this.#chance("gaps", 0.08)) this.#skip();
    const count = 1 + (this.#random.uint32() % this.#plan.batchMax);
    const readings = Array.from({ length: count }, () => this.#read());
    const message = this.#message(readings, this.#flaw());
    if (this.#chance("lateness", 0.15)) this.#sendLater(message);
    else this.#send(message);
    if ((this.#kind === "counted" || this.#isTold) && this.#chance("duplicates", 0.08))
      this.#send({ ...message, id: this.#nextId(), payload: message.payload.slice() });
    if (this.#kind === "counted" && this.#chance("duplicates", 0.06)) this.#send(this.#message(this.#recent, undefined));
  }

  #sendLater(message: SimMessage): void {
    this.#underWay++;
    this.#time.schedule(4 * this.#plan.intervalMs * this.#random.next(), () => {
      this.#underWay--;
      this.#send(message);
    });
  }

  /** Some readings are lost in the device; what it keeps follows each other. */
  #skip(): void {
    this.#sequence += 1 + (this.#random.uint32() % 3);
    this.#recent = [];
  }

  #reboot(boot: number): void {
    this.#boot = boot;
    this.#nonce = this.#random.uint32() >>> 1 || 1;
    this.#sequence = 0;
    this.#recent = [];
  }

  #flaw(): Flaw | undefined {
    if (!this.#chance("badPayloads", 0.06)) return undefined;
    return (["undecodable", "retained", "unknown_topic"] as const)[this.#random.uint32() % 3];
  }

  #read(): SimReading {
    const random = this.#random;
    const D = simModels[this.group]![0]!.features.length;
    this.#clockMs += 1 + (random.uint32() % 2000);
    const constant = this.#kind === "constant";
    const values = Float32Array.from({ length: D }, (_, d) => (constant ? 1 + d : (d === 0 ? 101_325 : 0) + 5 * random.normal()));
    // One at least is there, and the others may not be.
    const missing =
      D > 1 && !constant && this.#chance("missingValues", 0.2) ? Uint8Array.from(values, (_, d) => (d === 0 ? 0 : 1)) : undefined;
    if (missing !== undefined) for (let d = 0; d < D; d++) if (missing[d] === 1) values[d] = 0;
    if (this.#plan.groups[this.group]!.codec === "protobuf" && this.#chance("badPayloads", 0.03)) values[0] = Number.NaN;
    const reading = { sequence: this.#sequence++, time: this.#sendsTimes ? this.#clockMs : Number.NaN, values, missing };
    this.#recent = [...this.#recent, reading].slice(-KEPT_READINGS);
    return reading;
  }

  #message(readings: readonly SimReading[], flaw: Flaw | undefined): SimMessage {
    const meaning: SimReadings = {
      kind: "readings",
      stream: this.key,
      group: this.group,
      identity: this.#kind === "counted" ? { boot: this.#boot, nonce: this.#nonce } : undefined,
      readings,
    };
    const payload = flaw === "undecodable" ? Uint8Array.of(0x7b, 0xff, 0xff) : this.#encode(meaning);
    const topic = flaw === "unknown_topic" ? `elsewhere/${this.key}` : `s${this.group}/${this.key}/r`;
    return { id: this.#nextId(), topic, payload, qos: this.#qos, retain: flaw === "retained", meaning, flaw };
  }

  #encode({ identity, readings }: SimReadings): Uint8Array {
    const { codec } = this.#plan.groups[this.group]!;
    const { features } = simModels[this.group]![0]!;
    const count = readings.length;
    const values = new Float32Array(count * features.length);
    const missing = readings.some((reading) => reading.missing !== undefined) ? new Uint8Array(values.length) : undefined;
    for (const [i, reading] of readings.entries()) {
      values.set(reading.values, i * features.length);
      if (reading.missing !== undefined) missing!.set(reading.missing, i * features.length);
    }
    const all: Readings = {
      part: undefined,
      identity,
      count,
      sequences: identity === undefined ? new Float64Array(0) : Float64Array.from(readings, ({ sequence }) => sequence),
      times: Float64Array.from(readings, ({ time }) => time),
      values,
      missing,
    };
    return payloadCodec(codec).encode(all, features);
  }
}

/** Where devices send to. */
export interface DeviceBroker {
  readonly take: (message: SimMessage) => void;
  readonly nextId: () => number;
}
