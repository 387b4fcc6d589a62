// A client of ours that visits a broker for a while: `doctor` tries it with some, `init` looks round with one.
import type { Clock } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import type { InboundPacket, PacketPort, SessionFacts, Subscription } from "../mqtt/packet-port.ts";
import type { Config } from "../runtime/config-schema.ts";
import { brokerPort } from "./broker-port.ts";
import { warningLog } from "./warning-log.ts";

export interface VisitOptions {
  readonly config: Config;
  /** Tells it apart from the runtime and from other visitors. */
  readonly role: string;
  readonly sessionExpirySeconds: number;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly take?: (packet: InboundPacket) => void;
}

const CONNECT_MS_MAX = 10_000;
const QUIET_MS = 1500;
const LOOK_MS = 20;

export class BrokerVisitor {
  readonly #port: PacketPort;
  readonly #clock: Clock;
  received = 0;
  #session: SessionFacts | undefined;
  #refusal: string | undefined;
  /** What the port had to say of the broker. */
  readonly warnings: readonly string[];

  private constructor(port: PacketPort, warnings: readonly string[], { clock, take }: VisitOptions) {
    this.#port = port;
    this.#clock = clock;
    this.warnings = warnings;
    port.open({
      up: (session) => (this.#session ??= session),
      down: () => {},
      refused: (reason) => (this.#refusal = reason),
      packet: (packet) => {
        this.received++;
        take?.(packet);
        if (packet.qos > 0) port.acknowledge(packet.packetId);
      },
    });
  }

  /** Throws `bad_config` where the credentials cannot be read. */
  static async open(options: VisitOptions): Promise<BrokerVisitor> {
    const { config, role, sessionExpirySeconds, disk, clock, random } = options;
    const { mqtt, node } = config;
    const warnings: string[] = [];
    const port = await brokerPort(config, {
      disk,
      clientId: `${mqtt.clientId ?? `hiddenstate-${node}`}-${role}`,
      sessionExpirySeconds,
      receiveMax: limits.unsettledMessagesMax,
      clock,
      random,
      log: warningLog(warnings),
    });
    return new BrokerVisitor(port, warnings, options);
  }

  /** Throws `broker_refused`, or `unavailable` where no connection stands in time, with what is known of why. */
  async session(): Promise<SessionFacts> {
    const giveUpAt = this.#clock.monotonicMs() + CONNECT_MS_MAX;
    while (this.#session === undefined) {
      if (this.#refusal !== undefined) throw new HiddenstateError("broker_refused", this.#refusal);
      if (this.#clock.monotonicMs() > giveUpAt)
        throw new HiddenstateError("unavailable", this.warnings.at(-1) ?? "it does not answer");
      await sleep(this.#clock, LOOK_MS);
    }
    return this.#session;
  }

  subscribe(subscription: Subscription): Promise<void> {
    return this.#port.subscribe([subscription]);
  }

  publish(topic: string): Promise<void> {
    const message = { topic, payload: Uint8Array.of(0), qos: 1, retain: false } as const;
    return new Promise((confirmed, failed) => {
      this.#port.publish(message, (error) => (error === undefined ? confirmed() : failed(error)));
    });
  }

  /** Resolves once nothing has come for a while, or all of `wanted` has. */
  async quiet(wanted: number): Promise<void> {
    let [before, sinceMs] = [-1, this.#clock.monotonicMs()];
    while (this.received < wanted && this.#clock.monotonicMs() - sinceMs < QUIET_MS) {
      if (this.received > before) [before, sinceMs] = [this.received, this.#clock.monotonicMs()];
      await sleep(this.#clock, LOOK_MS);
    }
  }

  close(): Promise<void> {
    return this.#port.close();
  }
}
