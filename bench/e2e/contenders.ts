// What is measured, each as a process of its own: this runtime as its users start it, and the home-made version. And the folder, broker and
// load around them. Every process is ended by whoever started it, at the latest with this one.
import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Model } from "../../src/model/model.ts";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import type { Status } from "../../src/runtime/status.ts";
import { startMosquitto } from "../../test/support/mosquitto.ts";
import type { Mosquitto } from "../../test/support/mosquitto.ts";
import type { HomeMadeOptions } from "./home-made.ts";
import type { Answer, Job, Report } from "./load.ts";

const here = dirname(fileURLToPath(import.meta.url));
const main = resolve(here, "../../src/cli/main.js");
const NODE = "bench";
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const TMPFS = 0x01021994;
export const STREAMS_MAX = 200_000;

const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

function keep(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  const hard = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  child.kill(signal);
  await ended;
  clearTimeout(hard);
}

export interface BoxOptions {
  /** Where its folder is made: on a disk. */
  readonly parent: string;
  readonly model: Model;
  /** Where the runtimes leave CPU profiles; undefined: none. */
  readonly profileFolder: string | undefined;
}

export interface Contender {
  readonly pid: number;
  /** Where its predictions come. */
  readonly predictions: string;
  stop(): Promise<void>;
}

export interface RunningRuntime extends Contender {
  status(): Promise<Status>;
  /** Has its model be fine-tuned. */
  tune(): Promise<void>;
  /** From the start of the process until readings come in. */
  readonly startMs: number;
  /** What it says of its recovery: milliseconds; 0 without one. */
  readonly recoveryMs: number;
  readonly state: string;
  /** What it has written to its log so far. */
  log(): string;
}

/** Queues without a bound, so that it drops nothing, and as much in flight as the runtime asks for; the defaults are 1,000 and 20. */
function startBroker(): Promise<Mosquitto> {
  return startMosquitto({ config: ["max_inflight_messages 1000"] });
}

/** A folder on a real disk, a broker, and what runs on them. */
export class Box {
  readonly folder: string;
  readonly #model: Model;
  readonly #flags: readonly string[];
  #broker: Mosquitto;
  #states = 0;
  #boot = 0;

  private constructor(folder: string, options: BoxOptions, broker: Mosquitto) {
    this.folder = folder;
    this.#model = options.model;
    this.#flags = options.profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profileFolder}`];
    this.#broker = broker;
  }

  static async open(options: BoxOptions): Promise<Box> {
    const { parent, model } = options;
    if (statfsSync(parent).type === TMPFS) throw new Error(`${parent} lies in memory; name a folder on a disk with --folder`);
    const folder = mkdtempSync(join(parent, "hiddenstate-bench-"));
    writeFileSync(join(folder, "model.onnx"), model.bytes);
    return new Box(folder, options, await startBroker());
  }

  /** A broker without sessions: one that kept those of the last run would have queued for them all that was published since. */
  async renewBroker(): Promise<void> {
    await this.#broker.close();
    this.#broker = await startBroker();
  }

  async close(): Promise<void> {
    await this.#broker.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A new folder for a state. */
  newState(): string {
    const state = join(this.folder, `state-${this.#states++}`);
    mkdirSync(state);
    return state;
  }

  removeState(state: string): void {
    rmSync(state, { recursive: true, force: true });
  }

  #config(state: string, durability = "mode: strict"): string {
    return [
      `node: ${NODE}`,
      `state: ${state}`,
      "log: info",
      `mqtt: { url: "${this.#broker.url}" }`,
      `durability: { ${durability} }`,
      `streams: { max: ${STREAMS_MAX} }`,
      "groups:",
      "  - name: bench",
      '    topic: "bench/{device}/readings"',
      "    codec: protobuf",
      `    model: ${join(this.folder, "model.onnx")}`,
      "    engine: native",
      "    predictions: { format: protobuf }",
      "    learn: { every: never, drift: false }",
      "",
    ].join("\n");
  }

  get features(): string[] {
    return this.#model.spec.features.map(({ name }) => name);
  }

  /** Of the larger of a state's two checkpoints. */
  checkpointBytes(state: string): number {
    const journal = join(state, "journal");
    const files = readdirSync(journal).filter((file) => file.startsWith("checkpoint-"));
    return Math.max(0, ...files.map((file) => statSync(join(journal, file)).size));
  }

  /** The config of a runtime on a state, in a file. */
  writeConfig(state: string, durability?: string): string {
    const file = `${state}.yaml`;
    writeFileSync(file, this.#config(state, durability));
    return file;
  }

  /** Starts the runtime on a state; ready when readings can come in. */
  async runtime(state: string, durability?: string): Promise<RunningRuntime> {
    const file = this.writeConfig(state, durability);
    const startedAt = performance.now();
    const child = keep(spawn(process.execPath, [...this.#flags, main, "run", file], { stdio: ["ignore", "ignore", "pipe"] }));
    let log = "";
    await new Promise<void>((ready, failed) => {
      const timer = setTimeout(() => failed(new Error(`the runtime does not start: ${log}`)), START_MS_MAX);
      child.stderr!.on("data", (text) => {
        log += String(text);
        if (!log.includes('"taking readings"')) return;
        clearTimeout(timer);
        ready();
      });
      child.once("exit", (code) => failed(new Error(`the runtime ended with ${code}: ${log}`)));
    });
    const startMs = performance.now() - startedAt;
    const recovered = log.split("\n").find((line) => line.includes('"recovered"'));
    const control = await ControlClient.connect(state);
    return {
      pid: child.pid!,
      predictions: `hiddenstate/${NODE}/prediction/+`,
      state,
      log: () => log,
      startMs,
      recoveryMs: recovered === undefined ? 0 : (JSON.parse(recovered) as { ms: number }).ms,
      status: async () => (await control!.request("status", {})) as Status,
      tune: async () => void (await control!.request("tune", { group: NODE })),
      stop: async () => {
        control!.close();
        await end(child, "SIGTERM");
      },
    };
  }

  async homeMade(steps: HomeMadeOptions["steps"]): Promise<Contender> {
    const child = keep(fork(join(here, "home-made.js"), { stdio: ["ignore", "ignore", "inherit", "ipc"] }));
    const { spec } = this.#model;
    const options: HomeMadeOptions = {
      url: this.#broker.url,
      model: join(this.folder, "model.onnx"),
      features: spec.features.length,
      hidden: spec.layers[0]!.hidden,
      steps,
    };
    child.send(options);
    await Promise.race([
      once(child, "message"),
      once(child, "exit").then(() => Promise.reject(new Error("the home-made version ended"))),
    ]);
    return { pid: child.pid!, predictions: "home-made/prediction/+", stop: () => end(child, "SIGTERM") };
  }

  /** Runs a load in a process of its own. */
  async load(job: Omit<Job, "port" | "boot" | "features" | "watch">, contender?: Contender): Promise<Report> {
    const child = keep(fork(join(here, "load.js"), { stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    const whole: Job = {
      ...job,
      port: this.#broker.port,
      boot: ++this.#boot,
      features: this.features,
      watch: { broker: this.#broker.pid, ...(contender && { contender: contender.pid }) },
    };
    child.send(whole);
    const gone = once(child, "exit").then(([code]): Answer => ({ failed: `the load ended with ${String(code)}` }));
    const answer = await Promise.race([once(child, "message").then(([message]) => message as Answer), gone]);
    await end(child, "SIGTERM");
    if ("failed" in answer) throw new Error(answer.failed);
    // The broker forgets the sockets that are gone.
    await sleep(100);
    return answer.report;
  }
}
