// One simulation: devices that do not exist, or rows of the past, published to a broker until their time is up, their rows are out or
// someone stops it. It ends when the broker has confirmed everything.
import { once } from "node:events";
import { basename, extname } from "node:path";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { createSystemRandom } from "../base/random.ts";
import type { CodecName } from "../message/payload-codec.ts";
import { sliceStream } from "../message/reading-table.ts";
import type { ReadingTable } from "../message/reading-table.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import { clockDeviceMemory, openDeviceMemory } from "../../firmware-sim/device-memory.ts";
import type { FaultKind } from "../../firmware-sim/faults.ts";
import { createFleet } from "../../firmware-sim/fleet.ts";
import type { Quirk } from "../../firmware-sim/fleet.ts";
import { MessageReplay } from "../../firmware-sim/message-replay.ts";
import { Publisher } from "../../firmware-sim/publisher.ts";
import { Replay } from "../../firmware-sim/replay.ts";
import type { SignalKind } from "../../firmware-sim/signals.ts";
import { RateLines } from "./rate-lines.ts";
import { readTable } from "./read-table.ts";
import type { TableOptions } from "./read-table.ts";
import { isRecording, readRecording } from "./recording.ts";

export interface SimulationOptions extends Partial<TableOptions> {
  readonly url: string;
  readonly topic: string;
  readonly codec: CodecName;
  readonly batch: number;
  readonly state?: string;
  readonly seconds?: number;
  readonly json?: true;
  readonly devices: number;
  readonly rate: number;
  readonly seed: number;
  readonly signal: SignalKind;
  readonly faults: readonly FaultKind[];
  readonly faultInterval: number;
  readonly quirks: readonly (Quirk | "reconnect")[];
  readonly replay?: string;
  readonly speed: number;
  readonly skipRows: number;
  readonly fromFraction: number;
}

/** A fleet or a replay, as the command sees it. */
interface Show {
  /** Resolves when there is nothing more to publish; rejects where it cannot go on. */
  run(): Promise<void>;
  stop(): void;
  readonly readings: () => number;
  readonly summary: () => Record<string, number>;
}

const CUT_EVERY_MS = 5000;

/** The rows to replay: the later part of each stream, where a first part is to be left out. */
async function replayedTable(options: SimulationOptions, path: string): Promise<ReadingTable> {
  const { time } = options;
  if (time === undefined) {
    throw new HiddenstateError("bad_argument", `cannot replay ${path}: its column of times is not named; add --time COLUMN`);
  }
  const table = await readTable(systemDisk, path, { ...options, time });
  const streams = table.streams.map((one) => {
    const from = Math.max(options.skipRows, Math.floor(one.count * options.fromFraction));
    return sliceStream(one, Math.min(from, one.count), one.count);
  });
  return { features: table.features, streams };
}

/** A recording's messages as they are, without devices. */
function replayMessages(options: SimulationOptions, path: string, publisher: Publisher): Show {
  const { speed, skipRows } = options;
  const publish = publisher.offer.bind(publisher);
  const whenRoom = publisher.whenRoom.bind(publisher);
  const messages = readRecording(path, skipRows);
  const replay = new MessageReplay({ messages, speed, clock: systemClock, publish, whenRoom });
  return {
    run: () => replay.run(),
    stop: () => replay.stop(),
    // What a message carries is not known here.
    readings: () => replay.counts.messages,
    // A broker confirms in order: what was confirmed need not be published again.
    summary: () => ({ ...replay.counts, resumeAt: skipRows + publisher.confirmed }),
  };
}

async function createShow(options: SimulationOptions, publisher: Publisher): Promise<Show> {
  const clock = systemClock;
  if (options.replay !== undefined && isRecording(options.replay)) return replayMessages(options, options.replay, publisher);
  const nonces = createSystemRandom();
  const memory =
    options.state === undefined ? clockDeviceMemory(clock) : await openDeviceMemory(systemDisk, options.state, clock);
  const { topic, codec, batch, replay: path } = options;
  const publish = publisher.offer.bind(publisher);
  if (path !== undefined) {
    const table = await replayedTable(options, path);
    const name = basename(path, extname(path));
    const whenRoom = publisher.whenRoom.bind(publisher);
    const replay = new Replay({
      table,
      name,
      speed: options.speed,
      batch,
      codec,
      topic,
      clock,
      memory,
      nonces,
      publish,
      whenRoom,
    });
    return {
      run: () => replay.run(),
      stop: () => replay.stop(),
      readings: () => replay.counts.readings,
      summary: () => ({ devices: table.streams.length, ...replay.counts }),
    };
  }
  const { devices, rate, seed, signal, faultInterval } = options;
  const faults = { kinds: options.faults, intervalSteps: faultInterval };
  const asked = options.quirks.filter((quirk) => quirk !== "reconnect");
  const fleet = createFleet({
    devices,
    rate,
    seed,
    signal,
    faults,
    quirks: asked,
    batch,
    codec,
    topic,
    clock,
    memory,
    nonces,
    publish,
  });
  return {
    run: () => fleet.start().then(() => fleet.failure),
    stop: () => fleet.stop(),
    readings: () => fleet.counts.readings,
    summary: () => ({ devices, ...fleet.counts }),
  };
}

/** Publishes until there is no more or `stopping` says so, then waits for the confirmations. */
async function publishAll(show: Show, publisher: Publisher, stopping: AbortSignal): Promise<void> {
  const stopped = once(stopping, "abort");
  const published = async (): Promise<void> => {
    await show.run();
    await publisher.whenConfirmed();
  };
  await Promise.race([published(), stopped]);
  show.stop();
  await publisher.whenConfirmed(limits.stopMsMax);
}

/** Rejects with `unavailable` where the broker did not confirm everything, `bad_argument` and `bad_config` for options that cannot be. */
export async function runSimulation(options: SimulationOptions): Promise<void> {
  const clock = systemClock;
  const broker = parseBrokerUrl(options.url);
  const lines = new RateLines(options.json === true);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  let connections = 0;
  const publisher = new Publisher({
    broker,
    clock,
    random: createSystemRandom(),
    ...(options.quirks.includes("reconnect") ? { cutEveryMs: CUT_EVERY_MS } : {}),
    onUp: () => {
      connections++;
      lines.note(`connected to ${broker.display}`);
    },
    onDown: (reason) => lines.note(`cannot reach ${broker.display}: ${reason}; trying again every second`),
  });
  const show = await createShow(options, publisher);
  // Once: whoever presses Ctrl-C a second time does not want to wait for confirmations.
  process.once("SIGINT", stop).once("SIGTERM", stop);
  publisher.open();
  await Promise.race([publisher.whenUp(), once(stopping.signal, "abort")]);
  const startedAtMs = clock.monotonicMs();
  const secondsPassed = (): number => (clock.monotonicMs() - startedAtMs) / 1000;
  const reporting = lines.start(clock, () => ({
    seconds: secondsPassed(),
    readings: show.readings(),
    messages: publisher.confirmed,
    unconfirmed: publisher.unconfirmed,
  }));
  const limit = options.seconds === undefined ? undefined : clock.after(options.seconds * 1000, stop);
  try {
    if (!stopping.signal.aborted) await publishAll(show, publisher, stopping.signal);
    const { confirmed, unconfirmed } = publisher;
    lines.end({ ...show.summary(), seconds: Number(secondsPassed().toFixed(3)), confirmed, unconfirmed, connections });
    if (unconfirmed > 0) {
      throw new HiddenstateError("unavailable", `cannot finish: ${broker.display} has not confirmed ${unconfirmed} messages`);
    }
  } finally {
    limit?.cancel();
    reporting.cancel();
    process.removeListener("SIGINT", stop).removeListener("SIGTERM", stop);
    await publisher.close();
  }
}
