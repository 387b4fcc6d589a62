// The broker: whether it lets us in, what it grants, and whether it keeps what it has acknowledged. Some brokers tell the publisher that
// all is well and drop what is too much for a client that is away; that shows only by trying it.
import type { Clock } from "../base/clock.ts";
import { within } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { randomName } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { responseTopic } from "../message/topics.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import type { Config } from "../runtime/config-schema.ts";
import { BrokerVisitor } from "./broker-visitor.ts";
import { bad, good, note } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** More than mosquitto keeps of itself, which is 1,000 and those in flight. */
const MESSAGES = 1200;
const PUBLISH_MS_MAX = 30_000;
const SESSION_SECONDS = 120;

export class BrokerExamination {
  readonly #config: Config;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(config: Config, disk: Disk, clock: Clock, random: Random) {
    this.#config = config;
    this.#disk = disk;
    this.#clock = clock;
    this.#random = random;
  }

  #visit(role: string, sessionExpirySeconds: number): Promise<BrokerVisitor> {
    return BrokerVisitor.open({
      config: this.#config,
      role: `doctor${role}`,
      sessionExpirySeconds,
      disk: this.#disk,
      clock: this.#clock,
      random: this.#random,
    });
  }

  async examine(): Promise<Finding[]> {
    const { display } = parseBrokerUrl(this.#config.mqtt.url);
    const visitor = await this.#visit("", Math.round(this.#config.mqtt.sessionExpiry / 1000));
    try {
      const { protocol, receiveMax } = await visitor.session();
      const findings = [good("broker", `${display} lets us in, and speaks MQTT ${protocol === 5 ? "5" : "3.1.1"}`)];
      for (const warning of visitor.warnings) findings.push(note("session", warning, "see docs/config.md, mqtt.sessionExpiry"));
      if (receiveMax < limits.publishWindowMax) {
        const advice = "in mosquitto: max_inflight_messages 1000; predictions wait for each other otherwise";
        findings.push(note("window", `the broker takes ${receiveMax} predictions at a time`, advice, { receiveMax }));
      }
      await visitor.close();
      findings.push(await this.#queue());
      return findings;
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError)) throw thrown;
      return [
        bad("broker", `${display} cannot be used: ${reasonOf(thrown)}`, "check that it runs, and the user name and password"),
      ];
    } finally {
      await visitor.close();
      await this.#forget("");
    }
  }

  /** Whether what the broker has acknowledged reaches a client that was away. */
  async #queue(): Promise<Finding> {
    const topic = responseTopic(this.#config.node, `doctor-${randomName(this.#random)}`);
    const publisher = await this.#visit("-sender", 0);
    let away = await this.#visit("-away", SESSION_SECONDS);
    try {
      await away.session();
      await publisher.session();
      await away.subscribe({ filter: topic, qos: 1, retained: false });
      await publisher.publish(topic);
      await away.quiet(1);
      if (away.received === 0) return notTried("we may not read our own test topic");
      await away.close();
      const sent = Promise.all(Array.from({ length: MESSAGES }, () => publisher.publish(topic)));
      if (
        !(await within(
          this.#clock,
          PUBLISH_MS_MAX,
          sent.then(() => {}),
        ))
      )
        return notTried("it takes too long to confirm");
      away = await this.#visit("-away", SESSION_SECONDS);
      await away.session();
      await away.quiet(MESSAGES);
      return queueFinding(away.received);
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError)) throw thrown;
      return notTried(reasonOf(thrown));
    } finally {
      await publisher.close();
      await away.close();
      await this.#forget("-away");
    }
  }

  /** Ends a session that the broker would keep. */
  async #forget(role: string): Promise<void> {
    const visitor = await this.#visit(role, 0);
    await visitor.session().catch(() => {});
    await visitor.close();
  }
}

function notTried(why: string): Finding {
  const advice = "see SECURITY.md for a mosquitto configuration whose queue is bounded by bytes";
  return note("queue", `whether the broker keeps messages for a client that is away could not be tried: ${why}`, advice);
}

function queueFinding(received: number): Finding {
  const figures = { acknowledged: MESSAGES, delivered: received };
  if (received >= MESSAGES) return good("queue", `the broker kept ${MESSAGES} messages for a client that was away`, figures);
  const text = `of ${MESSAGES} messages that the broker had acknowledged it dropped ${MESSAGES - received}, because their receiver was away`;
  const advice =
    "while hiddenstate is down, readings beyond that are lost. In mosquitto: max_queued_messages 0, and max_queued_bytes as a bound";
  return bad("queue", text, advice, figures);
}
