// Fills a state directory as fast as it goes and leaves it as a kill would: a process of its own, with the real runtime on ports that are
// always up. First every stream gets a message and a checkpoint is written, then messages go into the journal behind it.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import type { InboundPacket, PacketPort, PacketPortEvents } from "../../src/mqtt/packet-port.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { deviceOf, DevicePackets } from "./mqtt-bytes.ts";

export interface FillOptions {
  readonly config: string;
  readonly features: readonly string[];
  readonly streams: number;
  readonly readings: number;
  /** Of the journal behind the checkpoint. It ends earlier where the runtime would write another checkpoint. */
  readonly journalBytes: number;
}

export interface Filled {
  readonly journalBytes: number;
  readonly events: number;
}

/** Of the replay time at which a checkpoint is due. */
const REPLAY_MS_MAX = 1300;
const TURN = 500;
const SESSION = { present: true, protocol: 5, receiveMax: 1000 } as const;

/** An endless line of packets that waits while it is held. */
class EndlessPort implements PacketPort {
  #events: PacketPortEvents | undefined;
  #held = false;
  acked = 0;
  sent = 0;

  open(events: PacketPortEvents): void {
    this.#events = events;
    events.up(SESSION);
  }

  async give(packet: InboundPacket): Promise<void> {
    while (this.#held) await sleep(1);
    if (++this.sent % TURN === 0) await new Promise<void>((next) => setImmediate(next));
    this.#events!.packet(packet);
  }

  hold(held: boolean): void {
    this.#held = held;
  }

  acknowledge(): void {
    this.acked++;
  }

  publish(_message: unknown, done: () => void): void {
    done();
  }

  subscribe(): Promise<void> {
    return Promise.resolve();
  }

  unsubscribe(): void {}

  drop(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The runtime on ports of its own, and what it counts. */
async function start(file: string): Promise<{ runtime: Runtime; metrics: Metrics; intake: EndlessPort }> {
  const metrics = new Metrics();
  const intake = new EndlessPort();
  const config = parseConfig(readFileSync(file, "utf8"), file);
  const runtime = await createRuntime(config, { log: silentLog, metrics, ports: { intake, sink: new EndlessPort() } });
  return { runtime, metrics, intake };
}

async function fill({ config, streams, readings, features, journalBytes }: FillOptions): Promise<Filled> {
  const timeMs = Date.now();
  const devices = Array.from({ length: streams }, (_, stream) => {
    const values = Float32Array.from({ length: readings * features.length }, (_value, i) => Math.cos(stream + i));
    return new DevicePackets({ topic: "", boot: 1, features, readings, values, timeMs });
  });
  const give = (intake: EndlessPort, stream: number): Promise<void> => {
    const topic = `bench/${deviceOf(stream)}/readings`;
    return intake.give({ topic, payload: devices[stream]!.nextPayload(), packetId: 1, qos: 1, dup: false, retain: false });
  };
  const first = await start(config);
  for (let stream = 0; stream < streams; stream++) await give(first.intake, stream);
  while (first.intake.acked < streams) await sleep(5);
  await first.runtime.stop();
  if (first.metrics.counter("checkpoint_bytes_written").value === 0)
    throw new Error("the stop wrote no checkpoint within its time");

  const { metrics, intake } = await start(config);
  const written = metrics.counter("journal_bytes_written");
  const replayMs = metrics.gauge("replay_ms_expected");
  while (written.value < journalBytes && replayMs.value < REPLAY_MS_MAX) await give(intake, intake.sent % streams);
  while (intake.acked < intake.sent) await sleep(5);
  if (metrics.counter("checkpoints_written").value > 0) throw new Error("another checkpoint was written");
  return { journalBytes: written.value, events: intake.sent };
}

export type FillAnswer = { readonly filled: Filled } | { readonly failed: string };

process.once("message", (options: FillOptions) => {
  fill(options)
    .then(
      (filled): FillAnswer => ({ filled }),
      (thrown: unknown): FillAnswer => ({ failed: String(thrown) }),
    )
    // Killed, not stopped: a stop would write a checkpoint.
    .then((answer) => process.send!(answer, () => process.kill(process.pid, "SIGKILL")));
});
