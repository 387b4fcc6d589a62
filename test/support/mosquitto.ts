// A real mosquitto on a free loopback port with a folder of its own, for tests. It is killed by its process id, at the latest when the
// test process ends.
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram } from "./find-program.ts";
import { freePort } from "./free-port.ts";

const INSTALL = "mosquitto is missing; install it with: apt-get install mosquitto";
const START_MS_MAX = 10_000;
const STOP_MS_MAX = 5000;

export interface MosquittoOptions {
  /** Keep sessions and queued messages on disk, over `stop` and `restart`; not over `kill`, for mosquitto saves when it ends. */
  readonly persistence?: boolean;
  /** False: only who gives a name and password gets in, as `config` says. */
  readonly anonymous?: boolean;
  /** More lines for the configuration file. FOLDER stands for the broker's own folder. */
  readonly config?: readonly string[];
  /** The whole configuration file in place of the above; PORT stands for the port. */
  readonly text?: string;
  /** Files to put into its folder first, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs. */
  readonly pid: number;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, after `stop` or `kill`, on the same port and folder. */
  restart(): Promise<void>;
  /** Stops it and removes its folder. */
  close(): Promise<void>;
}

function findMosquitto(): string | undefined {
  return findProgram(["mosquitto"], ["/usr/sbin", "/usr/local/sbin"]);
}

/** For a test's `skip` option: why it cannot run, or false. In CI it is never skipped: the test then fails for want of a broker. */
export function mosquittoMissing(): string | false {
  return findMosquitto() === undefined && process.env["CI"] !== "true" ? INSTALL : false;
}

/** The text of a file of passwords, by user, as mosquitto reads it. */
export function passwordFileOf(passwords: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "passwords-"));
  try {
    const path = join(folder, "passwords");
    writeFileSync(path, "");
    for (const [user, password] of Object.entries(passwords)) {
      execFileSync("mosquitto_passwd", ["-b", path, user, password], { stdio: "ignore" });
    }
    return readFileSync(path, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

process.once("exit", killAll);
// tap ends a test that takes too long by SIGALRM.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGALRM"] as const) {
  process.once(signal, () => {
    killAll();
    process.kill(process.pid, signal);
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const end = (does: boolean): void => {
      socket.destroy();
      resolve(does);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

class RunningMosquitto implements Mosquitto {
  readonly url: string;
  readonly port: number;
  readonly #program: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.port = port;
    this.url = `mqtt://127.0.0.1:${port}`;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  async restart(): Promise<void> {
    const child = spawn(this.#program, ["-c", join(this.#folder, "mosquitto.conf")], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    running.add(child);
    let said = "";
    child.stderr.on("data", (chunk) => (said += String(chunk)));
    child.once("exit", () => running.delete(child));
    const giveUpAt = performance.now() + START_MS_MAX;
    while (!(await answers(this.port))) {
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}: ${said}`);
      if (performance.now() > giveUpAt) throw new Error(`mosquitto does not answer on port ${this.port}: ${said}`);
      await sleep(10);
    }
  }

  async stop(): Promise<void> {
    const end = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_MS_MAX);
    await this.#end("SIGTERM");
    clearTimeout(end);
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}

export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const program = findMosquitto();
  if (program === undefined) throw new Error(INSTALL);
  const folder = mkdtempSync(join(tmpdir(), "mosquitto-"));
  const port = await freePort();
  for (const [name, contents] of Object.entries(options.files ?? {}))
    writeFileSync(join(folder, name), contents, { mode: 0o600 });
  const config = [
    "per_listener_settings false",
    ...(process.getuid?.() === 0 ? ["user root"] : []),
    `allow_anonymous ${options.anonymous ?? true}`,
    "set_tcp_nodelay true",
    "max_queued_messages 0",
    "log_type error",
    `persistence ${options.persistence ?? false}`,
    `persistence_location ${folder}/`,
    ...(options.config ?? []).map((line) => line.replaceAll("FOLDER", folder)),
    `listener ${port} 127.0.0.1`,
  ];
  const text = options.text?.replaceAll("FOLDER", folder).replaceAll("PORT", String(port)) ?? `${config.join("\n")}\n`;
  writeFileSync(join(folder, "mosquitto.conf"), text);
  const mosquitto = new RunningMosquitto(program, folder, port);
  await mosquitto.restart();
  return mosquitto;
}
