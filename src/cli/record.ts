// `hiddenstate record mqtt://HOST 'plant/#' --out FILE`: messages written to a file as they come, one a line, for `simulate --replay`.
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { WriteStream } from "node:fs";
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { diskError, HiddenstateError, systemCodeOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { createLog } from "../base/log.ts";
import { createSystemRandom } from "../base/random.ts";
import { formatRecordedMessage } from "../message/recorded-message.ts";
import type { InboundPacket, PacketPort } from "../mqtt/packet-port.ts";
import { brokerPort } from "./broker-port.ts";
import { addBrokerOptions, brokerSettings, connectionConfig } from "./connection-config.ts";
import type { BrokerOptions } from "./connection-config.ts";
import { numberIn } from "./option-values.ts";
import { stopSignal } from "./stop-signal.ts";

interface RecordOptions extends BrokerOptions {
  readonly out: string;
  readonly seconds?: number;
  readonly json?: true;
}

/** Bytes that wait for the disk. What comes at QoS 1 is held back by its ack before; at QoS 0 there is no such brake. */
const WAITING_BYTES_MAX = limits.unsettledBytesMax;

class Recorder {
  readonly #port: PacketPort;
  readonly #file: WriteStream;
  readonly counts = { messages: 0, bytes: 0, dropped: 0 };
  #fail: (thrown: unknown) => void = () => {};
  /** Rejects where it cannot go on. */
  readonly failed: Promise<never>;

  constructor(port: PacketPort, file: WriteStream) {
    this.#port = port;
    this.#file = file;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
    file.on("error", (error) => this.#fail(diskError(`write ${String(file.path)}`, error)));
  }

  listen(filters: readonly string[], onUp: () => void): void {
    this.#port.open({
      up: () => {
        const subscriptions = filters.map((filter) => ({ filter, qos: 1, retained: true }) as const);
        this.#port.subscribe(subscriptions).then(onUp, this.#fail);
      },
      down: () => {},
      refused: (reason) => this.#fail(new HiddenstateError("broker_refused", reason)),
      packet: (packet) => this.#take(packet),
    });
  }

  #take({ topic, payload, retain, qos, packetId, payloadBytes }: InboundPacket): void {
    const acknowledge = (): void => {
      if (qos > 0) this.#port.acknowledge(packetId);
    };
    // A payload that has arrived cut would be another message.
    if (payloadBytes !== undefined || this.#file.writableLength > WAITING_BYTES_MAX) {
      this.counts.dropped++;
      acknowledge();
      return;
    }
    const line = `${formatRecordedMessage({ time: systemClock.wallMs(), topic, payload, retain })}\n`;
    this.counts.messages++;
    this.counts.bytes += Buffer.byteLength(line);
    this.#file.write(line, (error) => {
      if (error === undefined || error === null) acknowledge();
    });
  }

  async close(): Promise<void> {
    await this.#port.close();
    await new Promise<void>((resolve) => {
      this.#file.end(resolve);
    });
  }
}

/** A new file; what is there already is left alone. */
async function create(path: string): Promise<WriteStream> {
  const file = createWriteStream(path, { flags: "wx" });
  try {
    await once(file, "open");
  } catch (thrown) {
    if (systemCodeOf(thrown) !== "EEXIST") throw diskError(`write ${path}`, thrown);
    throw new HiddenstateError("bad_argument", `cannot write ${path}: it is there already; name another file`, thrown);
  }
  return file;
}

async function record(url: string, filters: readonly string[], options: RecordOptions): Promise<void> {
  const { out, seconds, json } = options;
  const [clock, disk, random] = [systemClock, systemDisk, createSystemRandom()];
  const node = `record-${random.uint32().toString(16)}`;
  const connection = connectionConfig("record from", { node, state: ".", log: "warn", mqtt: brokerSettings(url, options) });
  const log = createLog("warn");
  const port = await brokerPort(connection, { clientId: `hiddenstate-${node}`, disk, clock, random, log });
  const stopped = stopSignal();
  const file = await create(out);
  const recorder = new Recorder(port, file);
  recorder.listen(filters, () => process.stderr.write(`recording ${filters.join(", ")} into ${out}\n`));
  const timeUp = new Promise<void>((resolve) => {
    if (seconds !== undefined) clock.after(seconds * 1000, resolve);
  });
  try {
    await Promise.race([stopped, timeUp, recorder.failed]);
  } finally {
    await recorder.close();
  }
  const { messages, bytes, dropped } = recorder.counts;
  const lost = dropped === 0 ? "" : `; ${dropped} were dropped, too long or too many for the disk`;
  process.stdout.write(
    json === true ? `${JSON.stringify(recorder.counts)}\n` : `${messages} messages, ${bytes} bytes in ${out}${lost}\n`,
  );
  process.exit(0);
}

export function recordCommand(): Command {
  const command = new Command("record")
    .description("write the messages of some topics to a file as they come, until SIGTERM or SIGINT, for simulate --replay")
    .argument("<url>", "the broker: mqtt://host or mqtts://host")
    .argument("<filters...>", "which topics: MQTT filters, such as 'plant/#'")
    .requiredOption("-o, --out <file>", "the file to write, one message a line as JSON; one that is there is left alone")
    .option("--seconds <count>", "stop by itself after this long", numberIn(0.1, 1e9, false))
    .option("--json", "print JSON at the end");
  return addBrokerOptions(command).action(record);
}
