// The broker of a box as the two connections see it: a session with a queue, a window of unacked messages and their redelivery, and
// whatever a broker or a network may do to them. It checks what an MQTT client must keep to.
import { crc32c } from "../../src/base/crc32c.ts";
import type { Random } from "../../src/base/random.ts";
import type { OutboundMessage, Ports } from "../../src/mqtt/packet-port.ts";
import type { Plan } from "./fault-plan.ts";
import { IntakeConnection } from "./intake-connection.ts";
import { SinkConnection } from "./sink-connection.ts";
import type { SeePublish } from "./sink-connection.ts";
import type { SimMessage } from "./sim-message.ts";
import type { Trace } from "./trace.ts";
import { UpdatesConnection } from "./updates-connection.ts";
import type { Life, VirtualClock } from "./virtual-clock.ts";

export interface InFlight {
  readonly packetId: number;
  readonly message: SimMessage;
}

export interface BrokerEvents {
  /** A client has broken a rule. */
  violation(what: string): void;
  /** The intake is about to ask for a connection; returns the operation that `asked` is called with. */
  connecting(): number | undefined;
  /** It has asked. */
  asked(operation: number): void;
  /** The intake gets an answer: whether there was a session. Also where it has not asked. */
  answered(present: boolean): void;
  /** It will never deliver a message that a device gave it. */
  lost(message: SimMessage): void;
}

export class SimBroker {
  readonly time: VirtualClock;
  readonly plan: Plan;
  readonly random: Random;
  readonly trace: Trace;
  readonly events: BrokerEvents;
  calm = false;
  /** The intake's session. */
  hasSession = false;
  subscribed = false;
  queue: SimMessage[] = [];
  inFlight: InFlight[] = [];
  #lastPacketId = 0;
  /** Messages that it ends the connection for, by their bytes and topic. */
  readonly #hated = new Set<string>();
  /** Those of the present client over which it has ended a connection. */
  readonly #closedOver = new Set<OutboundMessage>();
  /** Refusals with a reason that have reached the present client. */
  refused = 0;
  /** Clients that have ever come. */
  clients = 0;
  #intake: IntakeConnection | undefined;
  #sink: SinkConnection | undefined;
  #updates: UpdatesConnection | undefined;
  /** By topic, what lies there for whoever comes. */
  readonly retained = new Map<string, Uint8Array>();

  constructor(time: VirtualClock, plan: Plan, random: Random, trace: Trace, events: BrokerEvents) {
    this.time = time;
    this.plan = plan;
    this.random = random;
    this.trace = trace;
    this.events = events;
  }

  /** Nothing waits for the intake. */
  get isDrained(): boolean {
    return this.queue.length === 0 && this.inFlight.length === 0;
  }

  get window(): number {
    return this.plan.faults.has("wideWindow") ? 1000 : Math.min(this.plan.brokerWindow, this.plan.unsettledMessagesMax);
  }

  /** `sent` sees every publish as it leaves, and returns what is called when it has arrived. */
  ports(life: Life, sent: SeePublish): Ports {
    this.#intake?.abandon();
    this.#sink?.abandon();
    this.#intake = new IntakeConnection(this, life);
    this.#sink = new SinkConnection(this, life, sent);
    this.refused = 0;
    this.#closedOver.clear();
    this.#updates?.abandon();
    this.#updates = this.plan.faults.has("updates") ? new UpdatesConnection(this, life) : undefined;
    return { intake: this.#intake, sink: this.#sink, updates: this.#updates };
  }

  /** A message from whoever sends models. */
  retain(topic: string, payload: Uint8Array): void {
    if (payload.length === 0) this.retained.delete(topic);
    else this.retained.set(topic, payload);
    this.#updates?.deliver(topic, payload);
  }

  /** A message from a device. */
  take(message: SimMessage): void {
    this.trace.note(this.time.nowMs, "device", message.id);
    const isFull = this.plan.faults.has("queueDrop") && !this.calm && this.queue.length >= 8;
    if (!this.subscribed || isFull || (message.qos === 0 && !this.#isIntakeUp)) {
      this.events.lost(message);
      return;
    }
    this.queue.push(message);
    this.#intake?.pump();
  }

  get #isIntakeUp(): boolean {
    return this.#intake?.isUp === true;
  }

  nextPacketId(): number {
    if (this.plan.faults.has("lowestIds")) {
      let packetId = 1;
      while (this.inFlight.some((other) => other.packetId === packetId)) packetId++;
      return packetId;
    }
    this.#lastPacketId = (this.#lastPacketId % 65_535) + 1;
    return this.#lastPacketId;
  }

  /** Forgets the session, as a broker that was killed does. */
  loseSession(): void {
    this.trace.note(this.time.nowMs, "session lost", this.queue.length + this.inFlight.length);
    for (const { message } of this.inFlight) this.events.lost(message);
    for (const message of this.queue) this.events.lost(message);
    this.hasSession = false;
    this.subscribed = false;
    this.queue = [];
    this.inFlight = [];
    this.#lastPacketId = 0;
  }

  cut(which: "intake" | "sink" | "both" | "updates"): void {
    if (which === "updates") return this.#updates?.cut("the network");
    if (which !== "sink") this.#intake?.cut("the network");
    if (which !== "intake") this.#sink?.cut("the network");
  }

  /** Whether it lets nobody in at the moment. */
  refusesConnection(): boolean {
    return this.plan.faults.has("refusals") && !this.calm && this.random.next() < 0.1;
  }

  get closedOverCount(): number {
    return this.#closedOver.size;
  }

  /** Whether answers that are on their way are lost where it ends a connection. */
  get closesAtOnce(): boolean {
    return this.plan.seed % 2 === 1;
  }

  /** Whether it will not have a message: now, with a reason, or ever, without a word. */
  refusalOf(message: OutboundMessage): "quota" | "close" | undefined {
    const refusal = this.#refusalOf(message);
    if (refusal === "close") this.#closedOver.add(message);
    return refusal;
  }

  #refusalOf({ topic, payload }: OutboundMessage): "quota" | "close" | undefined {
    // What clears a retained message is the same every time, and would be hated every time.
    if (!this.plan.faults.has("refusals") || payload.length === 0) return undefined;
    const message = `${topic} ${crc32c(payload)}`;
    if (this.#hated.has(message)) return "close";
    if (this.calm) return undefined;
    const chance = this.random.next();
    if (chance < 0.02) this.#hated.add(message);
    return chance < 0.02 ? "close" : chance < 0.06 ? "quota" : undefined;
  }

  latencyMs(): number {
    return this.plan.networkMs * (0.5 + this.random.next());
  }

  reconnectMs(): number {
    return 20 + 2000 * this.random.next() ** 3;
  }
}
