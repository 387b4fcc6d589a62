// The connection on which the broker delivers: redelivery with DUP, a window, and the ack rules that the client must keep to.
import type { PacketPort, Subscription } from "../../src/mqtt/packet-port.ts";
import type { InboundPacket } from "../../src/mqtt/packet-port.ts";
import { notConnected, SimConnection } from "./sim-connection.ts";
import type { SimMessage } from "./sim-message.ts";

export class IntakeConnection extends SimConnection implements PacketPort {
  protected readonly name = "intake";
  /** Of `inFlight`, how many have been sent on this connection. */
  #sent = 0;
  /** Packet ids that have arrived on this connection and are not acked, in order. */
  #owed: number[] = [];
  /** The operation by which the present attempt is known. */
  #noted: number | undefined;
  #isHeld = false;
  #kept: InboundPacket[] = [];

  protected override connecting(): Promise<void> {
    this.#noted = this.broker.events.connecting();
    return this.events!.connecting!();
  }

  protected override failed(asked: boolean): void {
    if (!asked) this.broker.events.answered(true);
    this.events!.failed!(asked);
  }

  protected override accept(): boolean {
    const { broker } = this;
    if (broker.plan.faults.has("sessionLoss") && !broker.calm && broker.random.next() < 0.2) broker.loseSession();
    if (this.#noted !== undefined) broker.events.asked(this.#noted);
    const present = broker.hasSession;
    broker.hasSession = true;
    return present;
  }

  protected override answered(present: boolean): void {
    this.broker.events.answered(present);
  }

  protected override connected(): void {
    this.#sent = 0;
    this.pump();
  }

  protected broken(): void {
    this.#owed = [];
    this.#kept = [];
  }

  subscribe(_subscriptions: readonly Subscription[]): Promise<void> {
    return new Promise((resolve) => {
      this.toBroker(() => {
        this.broker.subscribed = true;
        this.toClient(resolve);
      });
    });
  }

  unsubscribe(): void {}

  /** Sends what the window has room for: first what is unacked from before, then what is new. */
  pump(): void {
    if (!this.isUp) return;
    const { broker } = this;
    for (; this.#sent < broker.inFlight.length; this.#sent++) {
      const { packetId, message } = broker.inFlight[this.#sent]!;
      this.#send(message, packetId, true);
    }
    while (broker.queue.length > 0 && broker.inFlight.length < broker.window) {
      const message = broker.queue.shift()!;
      const isDup = broker.plan.faults.has("dupFlags") && broker.random.next() < 0.3;
      if (message.qos === 0) {
        this.#send(message, 0, false);
        continue;
      }
      const packetId = broker.nextPacketId();
      broker.inFlight.push({ packetId, message });
      this.#sent++;
      this.#send(message, packetId, isDup);
    }
  }

  #send(message: SimMessage, packetId: number, dup: boolean): void {
    const { topic, payload, qos, retain } = message;
    const packet = { topic, payload, packetId, qos, dup, retain };
    this.toClient(() => {
      if (this.#isHeld) this.#kept.push(packet);
      else this.#arrive(packet);
    });
  }

  #arrive(packet: InboundPacket): void {
    this.broker.trace.note(this.broker.time.nowMs, "packet", packet.packetId);
    if (packet.qos === 1) this.#owed.push(packet.packetId);
    this.events!.packet(packet);
  }

  acknowledge(packetId: number): void {
    if (this.life.isOver) return;
    this.broker.trace.note(this.broker.time.nowMs, "ack", packetId);
    if (this.#owed[0] !== packetId) {
      const owed = this.#owed.includes(packetId) ? `before ${this.#owed[0]}` : "which has not come on this connection";
      this.broker.events.violation(`the packet ${packetId} is acked, ${owed}`);
      return;
    }
    this.#owed.shift();
    this.toBroker(() => {
      const { broker } = this;
      const at = broker.inFlight.findIndex((other) => other.packetId === packetId);
      if (at < 0) return broker.events.violation(`the packet ${packetId} is acked twice`);
      broker.inFlight.splice(at, 1);
      this.#sent--;
      this.pump();
    });
  }

  hold(held: boolean): void {
    this.#isHeld = held;
    if (held) return;
    // As from a socket: what has come meanwhile follows one by one, as long as nobody says hold again.
    this.broker.time.schedule(0, () => {
      while (!this.#isHeld && !this.life.isOver && this.#kept.length > 0) this.#arrive(this.#kept.shift()!);
    });
  }

  publish(_message: unknown, done: (error?: Error) => void): void {
    done(notConnected());
  }
}
