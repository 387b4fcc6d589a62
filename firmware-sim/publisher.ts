// Messages to a broker at QoS 1, as a careful device sends them: kept until confirmed, sent again in order after a lost connection, and
// bounded. Each connection is a new mqtt.js client that is thrown away with it, so that what is sent again is decided here alone.
import { connect } from "mqtt";
import type { MqttClient } from "mqtt";
import type { Clock, Timer } from "../src/base/clock.ts";
import { limits } from "../src/base/limits.ts";
import type { Random } from "../src/base/random.ts";
import type { DeviceMessage } from "./device.ts";

export interface PublisherOptions {
  readonly broker: {
    readonly host: string;
    readonly port: number;
    readonly secure: boolean;
    readonly username: string | undefined;
    readonly password: string | undefined;
  };
  readonly clock: Clock;
  readonly random: Random;
  /** Messages kept, confirmed ones not counted; default 10,000. At the bound `offer` returns false. */
  readonly messagesMax?: number;
  /** Drops each connection after this long, as a poor radio does. */
  readonly cutEveryMs?: number;
  readonly onUp?: () => void;
  /** The connection was lost or could not be made; another attempt follows by itself. */
  readonly onDown?: (reason: string) => void;
}

interface Kept {
  readonly message: DeviceMessage;
  confirmed: boolean;
}

/** Unconfirmed messages on one connection: enough to fill a link, few enough to send again. */
const WINDOW = 200;
const MESSAGES_MAX = 10_000;
const RECONNECT_DELAY_MS = 1000;
const CONNECT_TIMEOUT_MS = 10_000;
const COMPACT_AFTER = 1024;

/** Node reports a host with two addresses, neither answering, as an error without a text. */
function reasonOf(error: Error & { readonly code?: unknown }): string {
  return error.message === "" ? String(error.code) : error.message;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #messagesMax: number;
  #client: MqttClient | undefined;
  #isUp = false;
  #isClosed = false;
  #reason = "the connection was closed";
  #reconnect: Timer | undefined;
  #cut: Timer | undefined;
  #kept: Kept[] = [];
  /** Everything before it is confirmed. */
  #head = 0;
  /** The next to send on this connection. */
  #cursor = 0;
  #inFlight = 0;
  #confirmed = 0;
  #waiting: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#messagesMax = options.messagesMax ?? MESSAGES_MAX;
  }

  /** Messages that the broker has confirmed. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Messages kept until the broker confirms them. */
  get unconfirmed(): number {
    return this.#kept.length - this.#head;
  }

  open(): void {
    const { broker, random } = this.#options;
    const client = connect({
      host: broker.host,
      port: broker.port,
      protocol: broker.secure ? "mqtts" : "mqtt",
      ...(broker.username === undefined ? {} : { username: broker.username }),
      ...(broker.password === undefined ? {} : { password: broker.password }),
      clientId: `hiddenstate-sim-${random.uint32().toString(16).padStart(8, "0")}`,
      clean: true,
      protocolVersion: 4,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepalive: limits.keepaliveSeconds,
      queueQoSZero: false,
    });
    this.#client = client;
    client.on("connect", () => this.#rise(client));
    client.on("error", (error) => {
      if (client === this.#client) this.#reason = reasonOf(error);
    });
    client.on("close", () => this.#fall(client));
  }

  /** Keeps the message and sends it when it can; false where the bound is reached. */
  offer(message: DeviceMessage): boolean {
    if (this.#isClosed || this.unconfirmed >= this.#messagesMax) return false;
    this.#kept.push({ message, confirmed: false });
    this.#send();
    return true;
  }

  /** Resolves once fewer messages are kept than the bound. */
  whenRoom(): Promise<void> {
    return this.#when(() => this.unconfirmed < this.#messagesMax);
  }

  /** Resolves once a connection stands. */
  whenUp(): Promise<void> {
    return this.#when(() => this.#isUp);
  }

  /** Resolves once everything is confirmed, at the latest after `timeoutMs` where that is given. */
  async whenConfirmed(timeoutMs?: number): Promise<void> {
    const confirmed = this.#when(() => this.unconfirmed === 0);
    if (timeoutMs === undefined) return confirmed;
    let timer: Timer | undefined;
    const timeout = new Promise<void>((resolve) => (timer = this.#options.clock.after(timeoutMs, resolve)));
    await Promise.race([confirmed, timeout]);
    timer?.cancel();
  }

  /** Ends the connection. What is not yet confirmed is forgotten. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#reconnect?.cancel();
    this.#cut?.cancel();
    const client = this.#client;
    this.#client = undefined;
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#release();
    if (client === undefined) return;
    // Without force mqtt.js would wait for confirmations, here for ever where the broker is silent.
    await client.endAsync(!wasUp || this.#inFlight > 0);
  }

  /** Resolves when the condition holds, or when this is closed. */
  #when(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#isClosed || holds()) resolve();
        else this.#waiting.push(check);
      };
      check();
    });
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const check of waiting) check();
  }

  #rise(client: MqttClient): void {
    const { stream } = client;
    if ("setNoDelay" in stream && typeof stream.setNoDelay === "function") stream.setNoDelay(true);
    this.#isUp = true;
    this.#cursor = this.#head;
    this.#inFlight = 0;
    const { clock, cutEveryMs, onUp } = this.#options;
    if (cutEveryMs !== undefined) this.#cut = clock.after(cutEveryMs, () => stream.destroy());
    onUp?.();
    this.#release();
    this.#send();
  }

  #fall(client: MqttClient): void {
    if (client !== this.#client) return;
    this.#client = undefined;
    this.#isUp = false;
    this.#cut?.cancel();
    client.end(true);
    this.#options.onDown?.(this.#reason);
    this.#reason = "the connection was closed";
    this.#reconnect = this.#options.clock.after(RECONNECT_DELAY_MS, () => this.open());
  }

  #send(): void {
    const client = this.#client;
    if (client === undefined || !this.#isUp) return;
    while (client.connected && this.#inFlight < WINDOW && this.#cursor < this.#kept.length) {
      const kept = this.#kept[this.#cursor++]!;
      if (!kept.confirmed) this.#publish(client, kept);
    }
  }

  #publish(client: MqttClient, kept: Kept): void {
    const { topic, payload, retain } = kept.message;
    this.#inFlight++;
    client.publish(topic, Buffer.from(payload), { qos: 1, retain }, (error) => {
      if (error === undefined || error === null) this.#confirm(kept);
      // A connection that is gone has given its window back already.
      if (client !== this.#client) return;
      this.#inFlight--;
      this.#send();
    });
  }

  #confirm(kept: Kept): void {
    if (kept.confirmed) return;
    kept.confirmed = true;
    this.#confirmed++;
    while (this.#kept[this.#head]?.confirmed === true) this.#head++;
    if (this.#head > COMPACT_AFTER && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#cursor -= this.#head;
      this.#head = 0;
    }
    if (this.#waiting.length > 0) this.#release();
  }
}
