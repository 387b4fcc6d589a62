// What a supervisor of systemd's kind wants to know: that the service is up, how it does, that it still works, that it stops. Node has no
// datagram sockets of the Unix kind, so the program `systemd-notify` says it for us.
import { execFile } from "node:child_process";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { brokerLine } from "./broker-line.ts";

/** systemd asks to be fed at half of its bound; then one that is late or lost is followed by another in time. */
const LOOKS_PER_BOUND = 4;

export class Supervisor {
  readonly #socket: string;
  readonly #lookMs: number;

  private constructor(socket: string, lookMs: number) {
    this.#socket = socket;
    this.#lookMs = lookMs;
  }

  /**
   * The one that has started this process, if it wants to know. It is taken out of the environment: what this process starts has nothing to
   * say to it.
   */
  static take(environment: NodeJS.ProcessEnv): Supervisor | undefined {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: boundUs = "" } = environment;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
    if (socket === undefined || socket === "") return undefined;
    const lookMs = Number(boundUs) / 1000 / LOOKS_PER_BOUND;
    return new Supervisor(socket, lookMs > 0 ? lookMs : limits.supervisorLookMs);
  }

  /**
   * The runtime is up: says so now, and again as long as it moves. Everything is said each time, for systemd before 246 loses what a process
   * says that has ended before it was heard; later ones hold `systemd-notify` until it was.
   */
  up(runtime: Runtime): void {
    runtime.feedWatchdog(this.#lookMs, () => {
      const { streams, broker } = runtime.status();
      const status = `${streams} ${streams === 1 ? "stream" : "streams"}; ${brokerLine(broker)}`;
      return this.#say(["READY=1", "WATCHDOG=1", `STATUS=${status}`]);
    });
  }

  /** The process is about to end, by itself or because it was asked to. */
  stopping(): void {
    // Whether it is heard or not, the end comes.
    this.#say(["STOPPING=1"]).catch(() => {});
  }

  #say(variables: readonly string[]): Promise<void> {
    const env = { ...process.env, NOTIFY_SOCKET: this.#socket };
    return new Promise((said, failed) => {
      execFile("systemd-notify", variables, { env, timeout: limits.supervisorAnswerMsMax }, (error, _, told) => {
        if (error === null) return said();
        const reason = told.trim() || error.message;
        failed(new HiddenstateError("unavailable", `cannot run systemd-notify: ${reason}`, error));
      });
    });
  }
}
