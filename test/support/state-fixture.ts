// State directories as releases have written them, in test/fixtures/state: the files as they lay on the disk when the process was killed, and
// what a start on them has to come to: the states of the streams, the messages that nobody had confirmed, and what further readings give. All
// of it in terms that no format changes.
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createRuntime, defineConfig, DirectLink, silentLog } from "../../src/index.ts";
import type { Config, LinkMessage, Runtime, StreamState } from "../../src/index.ts";
import { repository } from "./cli.ts";
import { until } from "./until.ts";

export const fixtureFolder = join(repository, "test/fixtures/state");

type Published = readonly [topic: string, payload: string];

export interface StateFixture {
  /** What `npm run fixture:state` was run on. */
  readonly version: string;
  /** The model that the config names. */
  readonly model: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly gzip: string }>>;
  readonly states: Readonly<Record<string, KnownState>>;
  /** What had been published and not been confirmed. */
  readonly unconfirmed: readonly Published[];
  /** Readings after the start, and what is published for them, by topic in order. */
  readonly readings: readonly Published[];
  readonly published: Readonly<Record<string, readonly string[]>>;
  readonly statesAfter: Readonly<Record<string, KnownState>>;
}

/** What is known of a stream, and a hash of its hidden state as JSON has it: that of one that learns is ten thousand numbers. */
export interface KnownState {
  readonly facts: StreamState["facts"];
  readonly sha256: string;
}

/** The file's bytes up to the zeros at its end: segments are written beforehand. */
function withoutZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

/** All files in a state directory but the socket and those that hold nothing. */
export function packFiles(directory: string): StateFixture["files"] {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(directory, name)).isFile(),
  );
  const files = names.map((name) => ({ name, bytes: readFileSync(join(directory, name)) }));
  return Object.fromEntries(
    files
      .filter(({ bytes }) => withoutZeros(bytes).length > 0)
      .map(({ name, bytes }) => [
        name,
        { bytes: bytes.length, gzip: gzipSync(withoutZeros(bytes), { level: 9 }).toString("base64") },
      ]),
  );
}

export function unpackFiles({ files }: Pick<StateFixture, "files">, directory: string): void {
  for (const [name, { bytes, gzip }] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, gunzipSync(Buffer.from(gzip, "base64")));
    truncateSync(path, bytes);
  }
}

export function readFixture(name: string): StateFixture {
  return JSON.parse(readFileSync(join(fixtureFolder, name), "utf8")) as StateFixture;
}

/** The scalar kernel's bits are the same on every machine, so that what is published can be compared to the byte. */
function fixtureConfig(folder: string): Config {
  const common = { codec: "json", engine: "native", kernel: "scalar" } as const;
  const { engine: _, ...learning } = common;
  return defineConfig(
    {
      node: "box",
      state: "state",
      log: "silent",
      bridge: false,
      groups: [
        {
          ...common,
          name: "scored",
          topic: "in/scored/{device}",
          model: "m.onnx",
          score: { budget: "1/day" },
          reorder: { readings: 4, within: "1h" },
          predictions: { latest: true },
        },
        { ...common, name: "parts", topic: "in/parts/{device}", model: "m.onnx", holdFor: "10m" },
        { ...learning, name: "learns", topic: "in/learns/{room}", features: ["celsius"], horizons: [1] },
        { ...learning, name: "together", topic: "in/together/{pump}", features: ["flow"], horizons: [1], scope: "group" },
      ],
    },
    folder,
  );
}

/** A runtime on the fixture's config, and everything that it has published. */
export class FixtureRun {
  readonly link: DirectLink;
  readonly published: LinkMessage[] = [];
  #runtime: Runtime | undefined;

  /** Messages that `leaves` refuses are never confirmed. */
  constructor(leaves: (message: LinkMessage) => boolean = () => true) {
    this.link = new DirectLink((message) => {
      this.published.push(message);
      return leaves(message) ? undefined : new Promise<void>(() => {});
    });
  }

  get runtime(): Runtime {
    if (this.#runtime === undefined) throw new Error("the run has not started");
    return this.#runtime;
  }

  async start(folder: string): Promise<this> {
    this.#runtime = await createRuntime(fixtureConfig(folder), { ports: this.link.ports, log: silentLog });
    return this;
  }

  async publish(readings: readonly Published[]): Promise<void> {
    for (const [topic, payload] of readings) await this.link.publish(topic, payload);
  }

  /** Resolves once a stream's newest prediction, retained, has left with this sequence number; what leaves before it has then left too. */
  async left(stream: string, sequence: number): Promise<void> {
    const topic = `hiddenstate/box/prediction/${stream}/latest`;
    const isIt = (message: LinkMessage): boolean =>
      message.topic === topic && Buffer.from(message.payload).toString().includes(`"sequence":${sequence},`);
    await until(`${stream} ${sequence} has left`, () => this.published.some(isIt));
  }

  async states(): Promise<StateFixture["states"]> {
    const states: Record<string, KnownState> = {};
    for (const { stream } of this.runtime.control.listStreams()) {
      const { facts, state } = await this.runtime.getState(stream);
      states[stream] = { facts: { ...facts }, sha256: createHash("sha256").update(JSON.stringify(state)).digest("hex") };
    }
    return states;
  }

  /** What has left since message `from`, by topic in order. */
  byTopic(from: number): StateFixture["published"] {
    const topics: Record<string, string[]> = {};
    for (const { topic, payload } of this.published.slice(from)) (topics[topic] ??= []).push(Buffer.from(payload).toString());
    return topics;
  }
}
