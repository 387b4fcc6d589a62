// A zsh that somebody types into, on a pseudo-terminal of its own and with nobody's settings.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { findProgram } from "./find-program.ts";

const INSTALL = "zsh is missing; install it with: apt-get install zsh";
const ANSWER_MS_MAX = 30_000;

function findZsh(): string | undefined {
  return findProgram(["zsh"], ["/usr/bin", "/bin", "/usr/local/bin"]);
}

/** For a test's `skip` option: why it cannot run, or false. In CI it is never skipped. */
export function zshMissing(): string | false {
  return findZsh() === undefined && process.env["CI"] !== "true" ? INSTALL : false;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Zsh {
  readonly #child: ChildProcess;
  #said = "";

  constructor(cwd: string) {
    const program = findZsh();
    if (program === undefined) throw new Error(INSTALL);
    // A width at which nothing is wrapped, and no escape sequences for a clever terminal.
    const command = `stty cols 240 rows 100; exec ${program} -f -i`;
    const env = { ...process.env, TERM: "dumb", PS1: "", NODE_OPTIONS: "" };
    this.#child = spawn("script", ["--quiet", "--flush", "--command", command, "/dev/null"], { cwd, env, stdio: "pipe" });
    running.add(this.#child);
    this.#child.once("exit", () => running.delete(this.#child));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
    }
  }

  /** Types, and resolves with everything that was said since, once `until` is part of it. */
  async type(text: string, until: string): Promise<string> {
    this.#said = "";
    this.#child.stdin!.write(text);
    const giveUpAt = performance.now() + ANSWER_MS_MAX;
    while (!this.#said.includes(until)) {
      if (performance.now() > giveUpAt) throw new Error(`zsh did not say ${until}: ${JSON.stringify(this.#said)}`);
      await new Promise((resolve) => void setTimeout(resolve, 20));
    }
    return this.#said;
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}
