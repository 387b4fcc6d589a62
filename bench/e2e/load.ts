// A process of its own that publishes readings and takes predictions, over two sockets of plain bytes so that it is never what is
// measured. Both ends on one clock: a latency is the time from the write of a reading's bytes to the arrival of its prediction's. It
// gets one job from the process that forked it and answers with one report.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import {
  connectPacket,
  DEVICE_DIGITS as DIGITS,
  deviceOf,
  DevicePackets,
  FIRST_SEQUENCE,
  PacketCutter,
  subscribePacket,
} from "./mqtt-bytes.ts";
import { usageOf } from "./process-usage.ts";
import type { Usage } from "./process-usage.ts";

export interface Job {
  readonly port: number;
  readonly streams: number;
  /** Of the devices; higher than in any job before on the same state. */
  readonly boot: number;
  readonly features: readonly string[];
  /** Readings a message. */
  readonly readings: number;
  /** Where predictions come; undefined: mosquitto's own client takes the readings themselves. */
  readonly predictions: string | undefined;
  /** As fast as they come back, at most so many messages ahead; or so many a second whatever comes back. */
  readonly pace: { readonly ahead: number } | { readonly perSecond: number };
  readonly warmMs: number;
  readonly measureMs: number;
  /** Processes whose use is wanted, by name. */
  readonly watch: Readonly<Record<string, number>>;
}

export interface Report {
  readonly seconds: number;
  /** Sent and come back in the time measured. */
  readonly messages: number;
  /** From sensor to prediction, of the messages come back in that time; 0 where there are no predictions. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** The watched processes' use at its beginning and end, and this one's as `load`. */
  readonly usage: Readonly<Record<string, readonly [Usage, Usage]>>;
}

const CHUNK_BYTES = 64 * 1024;
const PACKET_IDS = 65_535;
/** Unacked by the broker. */
const WINDOW = 1000;
const PUBACK = 4;
const PUBACK_BYTES = 4;
const PUBLISH = 3;
const DRAIN_MS_MAX = 60_000;
const SENT_TIMES = 2 ** 18;

function open(port: number, hello: readonly Buffer[]): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
      for (const bytes of hello) socket.write(bytes);
      // The first bytes are the CONNACK's; a SUBACK comes right behind it.
      socket.once("data", () => setTimeout(() => resolve(socket), 200));
    });
    socket.once("error", reject);
  });
}

class Load {
  readonly #job: Job;
  readonly #devices: DevicePackets[];
  /** By the number of a message: when its bytes were written. */
  readonly #sentAt = new Float64Array(SENT_TIMES);
  /** By stream: the sequence its next prediction begins with. */
  readonly #expected: Float64Array;
  #publisher!: Socket;
  #client: ChildProcess | undefined;
  #sent = 0;
  #acked = 0;
  #ackBytes = 0;
  received = 0;
  #latencies: number[] | undefined;
  /** Before it starts, and after it ends. */
  #stopped = true;
  #blocked = false;
  fault: string | undefined;
  #startedAt = 0;

  constructor(job: Job) {
    this.#job = job;
    const { streams, features, readings, boot } = job;
    const timeMs = Date.now();
    this.#devices = Array.from({ length: streams }, (_, stream) => {
      const values = Float32Array.from({ length: readings * features.length }, (_value, i) =>
        i % features.length === 0 ? 101_325 + Math.sin(stream + i) : Math.cos(stream + i),
      );
      return new DevicePackets({ topic: `bench/${deviceOf(stream)}/readings`, boot, features, readings, values, timeMs });
    });
    this.#expected = new Float64Array(streams).fill(FIRST_SEQUENCE);
  }

  /** All that was sent has come back. The C client's last lines stay in its buffer: it is not waited for. */
  get isDrained(): boolean {
    if (this.#client !== undefined) return true;
    return this.received >= this.#sent && this.#acked >= this.#sent;
  }

  get unanswered(): number {
    return this.#sent - this.received;
  }

  async connect(): Promise<void> {
    const { port, predictions } = this.#job;
    if (predictions === undefined) await this.#runClient(port);
    else await this.#subscribe(port, predictions);
    this.#publisher = await open(port, [connectPacket("bench-publisher")]);
    this.#watch(this.#publisher, "publisher");
    this.#publisher.on("data", (chunk) => {
      // Nothing but PUBACKs of four bytes comes here.
      this.#ackBytes += chunk.length;
      this.#acked = Math.floor(this.#ackBytes / PUBACK_BYTES);
      this.pump();
    });
  }

  /** mosquitto's C client, one line of known length a message. */
  #runClient(port: number): Promise<void> {
    const args = ["-h", "127.0.0.1", "-p", String(port), "-t", "bench/+/readings", "-q", "1", "-F", "%t"];
    const client = spawn("mosquitto_sub", args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#client = client;
    const lineBytes = `bench/${deviceOf(0)}/readings\n`.length;
    let bytes = 0;
    client.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      this.received = Math.floor(bytes / lineBytes);
      this.pump();
    });
    client.once("error", (error) => (this.fault ??= error.message));
    return sleep(500);
  }

  async #subscribe(port: number, filter: string): Promise<void> {
    const socket = await open(port, [connectPacket("bench-subscriber"), subscribePacket(filter)]);
    let acks = Buffer.allocUnsafe(CHUNK_BYTES);
    let ackBytes = 0;
    const cutter = new PacketCutter((first, bytes, start) => {
      if (first >> 4 !== PUBLISH) return;
      const topicEnd = start + 2 + bytes.readUInt16BE(start);
      if (ackBytes + PUBACK_BYTES > acks.length) acks = Buffer.concat([acks, Buffer.allocUnsafe(CHUNK_BYTES)]);
      acks[ackBytes++] = PUBACK << 4;
      acks[ackBytes++] = 2;
      acks[ackBytes++] = bytes[topicEnd]!;
      acks[ackBytes++] = bytes[topicEnd + 1]!;
      this.#prediction(bytes, topicEnd - DIGITS, topicEnd + 2);
    });
    socket.on("data", (chunk) => {
      cutter.take(chunk);
      socket.write(Buffer.from(acks.subarray(0, ackBytes)));
      ackBytes = 0;
      this.pump();
    });
    this.#watch(socket, "subscriber");
  }

  #watch(socket: Socket, name: string): void {
    socket.on("error", (error) => (this.fault ??= `${name}: ${error.message}`));
    socket.on("close", () => (this.fault ??= `${name}: the broker has closed the connection`));
  }

  /** The stream's number stands in the topic, the sequence in the id, which is the payload's first field. */
  #prediction(bytes: Buffer, digitsAt: number, payloadAt: number): void {
    let stream = 0;
    for (let i = 0; i < DIGITS; i++) stream = stream * 10 + bytes[digitsAt + i]! - 48;
    // Tag, length, the device's name, a slash; then the boot.
    let at = payloadAt + 2 + 1 + DIGITS + 1;
    while (bytes[at] !== 47) at++;
    let sequence = 0;
    for (at++; bytes[at] !== 47; at++) sequence = sequence * 10 + bytes[at]! - 48;
    const { readings, streams } = this.#job;
    if (sequence !== this.#expected[stream]) {
      this.fault ??= `a prediction of ${deviceOf(stream)} begins with ${sequence}, not ${this.#expected[stream]}`;
    }
    this.#expected[stream] = sequence + readings;
    this.received++;
    const message = ((sequence - FIRST_SEQUENCE) / readings) * streams + stream;
    this.#latencies?.push(performance.now() - this.#sentAt[message % SENT_TIMES]!);
  }

  start(): void {
    this.#stopped = false;
    this.#startedAt = performance.now();
    this.pump();
    if ("perSecond" in this.#job.pace) this.#tick();
  }

  #tick(): void {
    if (this.#stopped) return;
    this.pump();
    setTimeout(() => this.#tick(), 1);
  }

  /** How many messages may have been sent by now. */
  #allowed(): number {
    const { pace } = this.#job;
    if ("perSecond" in pace) return Math.floor(((performance.now() - this.#startedAt) * pace.perSecond) / 1000);
    return Math.min(this.received + pace.ahead, this.#acked + WINDOW);
  }

  pump(): void {
    while (!this.#stopped && !this.#blocked) {
      const count = this.#allowed() - this.#sent;
      if (count <= 0) return;
      const packet = this.#devices[0]!.bytes;
      const fit = Math.min(count, Math.max(1, Math.floor(CHUNK_BYTES / packet)));
      const chunk = Buffer.allocUnsafe(fit * packet);
      const now = performance.now();
      for (let i = 0; i < fit; i++, this.#sent++) {
        this.#devices[this.#sent % this.#devices.length]!.write(chunk, i * packet, 1 + (this.#sent % PACKET_IDS));
        this.#sentAt[this.#sent % SENT_TIMES] = now;
      }
      if (!this.#publisher.write(chunk)) {
        this.#blocked = true;
        this.#publisher.once("drain", () => {
          this.#blocked = false;
          this.pump();
        });
      }
    }
  }

  measure(): void {
    this.#latencies = [];
  }

  measured(): Report["latencyMs"] {
    const rising = Float64Array.from(this.#latencies ?? []).toSorted();
    this.#latencies = undefined;
    const quantile = (share: number): number => rising[Math.min(rising.length - 1, Math.floor(share * rising.length))] ?? 0;
    return { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999) };
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#client?.kill("SIGTERM");
  }
}

async function run(job: Job): Promise<Report> {
  const load = new Load(job);
  await load.connect();
  const pids = Object.entries({ ...job.watch, load: process.pid });
  const usages = (): Usage[] => pids.map(([, pid]) => usageOf(pid));
  load.start();
  await sleep(job.warmMs);
  load.measure();
  const [before, first, from] = [usages(), load.received, performance.now()];
  await sleep(job.measureMs);
  const [messages, seconds] = [load.received - first, (performance.now() - from) / 1000];
  const after = usages();
  const latencyMs = load.measured();
  load.stop();
  const until = performance.now() + DRAIN_MS_MAX;
  while (!load.isDrained && load.fault === undefined) {
    if (performance.now() > until) throw new Error(`${load.unanswered} messages were never answered`);
    await sleep(10);
  }
  load.close();
  if (load.fault !== undefined) throw new Error(load.fault);
  const usage = Object.fromEntries(pids.map(([name], i) => [name, [before[i]!, after[i]!] as const]));
  return { seconds, messages, latencyMs, usage };
}

/** What the process that forked this one gets. */
export type Answer = { readonly report: Report } | { readonly failed: string };

process.once("message", (job: Job) => {
  run(job)
    .then(
      (report): Answer => ({ report }),
      (thrown: unknown): Answer => ({ failed: String(thrown) }),
    )
    .then((answer) => process.send!(answer, () => process.exit(0)));
});
