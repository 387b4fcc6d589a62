// The connection on which predictions leave: confirmations in order or not, none for what a cut has swallowed. A broker of MQTT 5 may
// refuse a message with a reason; one before that ends the connection whenever it gets a message that it will not have.
import { PublishRefused } from "../../src/mqtt/packet-port.ts";
import type { OutboundMessage, PacketPort, Subscription } from "../../src/mqtt/packet-port.ts";
import type { SimBroker } from "./sim-broker.ts";
import { notConnected, SimConnection } from "./sim-connection.ts";
import type { Life } from "./virtual-clock.ts";

/** Sees a publish as it leaves; what it returns is called when the broker has settled it, one way or the other. */
export type SeePublish = (message: OutboundMessage, connection: string) => () => void;

export class SinkConnection extends SimConnection implements PacketPort {
  protected readonly name = "sink";
  readonly #sent: SeePublish;
  #waiting = new Set<(error?: Error) => void>();

  constructor(broker: SimBroker, life: Life, sent: SeePublish) {
    super(broker, life);
    this.#sent = sent;
  }

  protected broken(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const done of waiting) done(notConnected());
  }

  publish(message: OutboundMessage, done: (error?: Error) => void): void {
    const { broker } = this;
    if (!this.isUp) return done(notConnected());
    this.#waiting.add(done);
    broker.trace.note(broker.time.nowMs, "publish", message.payload.length);
    if (this.#waiting.size > broker.plan.brokerReceiveMax) broker.events.violation("more publishes than the broker takes");
    const settled = this.#sent(message, `${this.number}.${this.epoch}`);
    this.toBroker(() => {
      const refusal = broker.refusalOf(message);
      // Nobody waits any more for what it will never have.
      if (refusal !== "quota") settled();
      if (refusal === "close") {
        const close = (): void => this.cut("the broker does not take this message", true);
        return broker.closesAtOnce ? close() : this.toClient(close);
      }
      const confirm = (): void => {
        if (!this.#waiting.delete(done)) return;
        if (refusal === undefined) return done();
        broker.refused++;
        settled();
        done(new PublishRefused("quota_exceeded", "cannot publish: the quota is exceeded"));
      };
      if (!broker.plan.faults.has("ackDisorder")) return this.toClient(confirm);
      const { epoch } = this;
      broker.time.schedule(3 * broker.latencyMs(), () => {
        if (epoch === this.epoch && !this.life.isOver) confirm();
      });
    });
  }

  subscribe(_subscriptions: readonly Subscription[]): Promise<void> {
    return Promise.reject(notConnected());
  }

  unsubscribe(): void {}

  acknowledge(): void {}

  hold(): void {}
}
