// Publishes an outbox in its order, a bounded number at a time, until the broker has confirmed each message. What a broken connection
// left unconfirmed is sent again, in order, before anything new. A message that the broker will not take is counted and given up, so
// that it cannot stand in the way of the others for ever.
import { strict as assert } from "node:assert";
import type { Clock, Timer } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { OutboxEntry, OutboxSource } from "../pipeline/outbox.ts";
import { PublishRefused } from "./packet-port.ts";
import type { PacketPort, SessionFacts } from "./packet-port.ts";

export interface SinkOptions {
  readonly port: PacketPort;
  readonly source: OutboxSource;
  readonly windowMax?: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Called when a connection stands, before anything is published on it. */
  readonly connected?: () => void;
  /** The broker refuses us for good; the reason says what to check. */
  refused(reason: string): void;
}

interface Taken {
  readonly entry: OutboxEntry;
  sentAtMs: number;
  sentBefore: boolean;
  /** Confirmed, or given up. */
  finished: boolean;
}

/**
 * A broker before MQTT 5 has one way to refuse a message: it closes the connection. After this many connections in a row that it closed
 * without confirming anything, the oldest message is sent alone; after that many, alone, it is the culprit.
 */
const FRUITLESS_BEFORE_PROBE = 2;
const FRUITLESS_BEFORE_REFUSAL = 4;
const COMPACT_AFTER = 1024;

export class Sink {
  readonly #options: SinkOptions;
  readonly #port: PacketPort;
  readonly #windowMax: number;
  readonly #count: ReturnType<typeof counters>;
  /** Taken from the source and not yet finished, in order; finished ones stay until all before them are. */
  #taken: Taken[] = [];
  #head = 0;
  /** The next to send on this connection. */
  #next = 0;
  #inFlight = 0;
  #connection = 0;
  #isUp = false;
  #brokerWindow = 0;
  #fruitless = 0;
  #confirmedHere = false;
  #pumping = false;
  #answerDue: Timer | undefined;
  #drained: (() => void) | undefined;

  constructor(options: SinkOptions) {
    this.#options = options;
    this.#port = options.port;
    this.#windowMax = options.windowMax ?? limits.publishWindowMax;
    this.#count = counters(options.metrics);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  start(): void {
    this.#port.open({
      up: (session) => this.#up(session),
      down: (_reason, byBroker) => this.#down(byBroker),
      refused: (reason) => this.#options.refused(reason),
      packet: () => {},
    });
    this.#options.source.onAvailable(() => this.#pump());
  }

  /** Resolves true once the broker has confirmed all that the source has, false where that takes longer than `withinMs`. */
  drain(withinMs: number): Promise<boolean> {
    assert(this.#drained === undefined, "one drain at a time");
    this.#pump();
    if (this.#isDrained()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (drained: boolean): void => {
        this.#drained = undefined;
        timer.cancel();
        resolve(drained);
      };
      const timer = this.#options.clock.after(withinMs, () => end(false));
      this.#drained = () => end(true);
    });
  }

  /** Disconnects. What is not confirmed stays in the outbox. */
  async close(): Promise<void> {
    this.#answerDue?.cancel();
    await this.#port.close();
  }

  #up({ receiveMax }: SessionFacts): void {
    this.#isUp = true;
    this.#connection++;
    this.#brokerWindow = receiveMax;
    this.#confirmedHere = false;
    this.#count.connects.add();
    this.#count.up.set(1);
    this.#options.connected?.();
    this.#pump();
  }

  #down(byBroker: boolean): void {
    this.#isUp = false;
    this.#connection++;
    this.#answerDue?.cancel();
    this.#answerDue = undefined;
    this.#count.disconnects.add();
    this.#count.up.set(0);
    if (byBroker && this.#inFlight > 0 && !this.#confirmedHere) this.#fruitless++;
    this.#inFlight = 0;
    this.#next = this.#head;
    if (this.#fruitless < FRUITLESS_BEFORE_REFUSAL) return;
    const culprit = this.#taken[this.#head];
    if (culprit === undefined) return;
    // The next message may be of the same kind: it is sent alone from the start.
    this.#fruitless = FRUITLESS_BEFORE_PROBE;
    const reason = `cannot publish to ${culprit.entry.topic}: the broker ends the connection whenever it gets this message`;
    this.#giveUp(culprit, new PublishRefused("closed_on_publish", reason));
  }

  get #window(): number {
    return this.#fruitless >= FRUITLESS_BEFORE_PROBE ? 1 : Math.min(this.#windowMax, this.#brokerWindow);
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#isUp && this.#inFlight < this.#window) {
      const taken = this.#taken[this.#next] ?? this.#take();
      if (taken === undefined) break;
      this.#next++;
      if (!taken.finished) this.#send(taken);
    }
    this.#pumping = false;
    this.#count.inFlight.set(this.#inFlight);
    if (this.#drained !== undefined && this.#isDrained()) this.#drained();
  }

  #take(): Taken | undefined {
    const entry = this.#options.source.next();
    if (entry === undefined) return undefined;
    const taken = { entry, sentAtMs: 0, sentBefore: false, finished: false };
    this.#taken.push(taken);
    return taken;
  }

  #send(taken: Taken): void {
    const connection = this.#connection;
    if (taken.sentBefore) this.#count.repeated.add();
    taken.sentBefore = true;
    taken.sentAtMs = this.#options.clock.monotonicMs();
    this.#inFlight++;
    this.#count.sent.add();
    if (this.#answerDue === undefined) this.#expectAnswer(limits.brokerAnswerMsMax);
    this.#port.publish(taken.entry, (error) => {
      if (connection === this.#connection) this.#answered(taken, error);
    });
  }

  #answered(taken: Taken, error: Error | undefined): void {
    // Where the connection brings no answer any more its end is on the way, and with it the next attempt.
    if (error !== undefined && !(error instanceof PublishRefused)) return;
    assert(!taken.finished, "a publish is answered once");
    this.#inFlight--;
    this.#confirmedHere = true;
    this.#fruitless = 0;
    if (error === undefined) {
      this.#count.confirmed.add();
      this.#count.latency.observe(this.#options.clock.monotonicMs() - taken.sentAtMs);
      this.#finish(taken);
    } else {
      this.#giveUp(taken, error);
    }
    this.#pump();
  }

  #giveUp(taken: Taken, refused: PublishRefused): void {
    this.#options.metrics.counter("publish_refused", refused.refusal).add();
    this.#options.log.error("a message was not published", { reason: refused.message });
    this.#finish(taken);
  }

  #finish(taken: Taken): void {
    taken.finished = true;
    while (this.#taken[this.#head]?.finished === true) this.#head++;
    this.#next = Math.max(this.#next, this.#head);
    if (this.#head === this.#taken.length || this.#head > COMPACT_AFTER) {
      this.#taken.splice(0, this.#head);
      this.#next -= this.#head;
      this.#head = 0;
    }
    this.#options.source.confirm(taken.entry);
  }

  /** Looks after `delayMs` whether the oldest publish has waited too long. One timer for all: the broker answers in order. */
  #expectAnswer(delayMs: number): void {
    this.#answerDue = this.#options.clock.after(delayMs, () => {
      this.#answerDue = undefined;
      const oldest = this.#taken[this.#head];
      if (this.#inFlight === 0 || oldest === undefined) return;
      const waitedMs = this.#options.clock.monotonicMs() - oldest.sentAtMs;
      if (waitedMs < limits.brokerAnswerMsMax) this.#expectAnswer(limits.brokerAnswerMsMax - waitedMs);
      else this.#port.drop(`the broker has not confirmed a publish for ${Math.round(waitedMs)} ms`);
    });
  }

  #isDrained(): boolean {
    if (this.#head < this.#taken.length) return false;
    // While down nothing is taken by itself, so look.
    return this.#take() === undefined;
  }
}

function counters(metrics: Metrics) {
  return {
    sent: metrics.counter("sink_publishes"),
    repeated: metrics.counter("sink_publishes_repeated"),
    confirmed: metrics.counter("sink_confirmed"),
    connects: metrics.counter("sink_connects"),
    disconnects: metrics.counter("sink_disconnects"),
    up: metrics.gauge("sink_up"),
    inFlight: metrics.gauge("sink_in_flight"),
    latency: metrics.histogram("publish_latency"),
  };
}
