// The command line as a user has it: a process of its own, with what it printed and how it ended.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
/** What npm passes on by the environment; a user has none of it. */
const userEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)));

/**
 * How to start a command as a user starts it. The test runner gives every process that Node starts its own hooks, in NODE_OPTIONS, when it
 * is started: `env` takes them away after that.
 */
export function asUser(command: string, args: readonly string[]): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  return { command: "env", args: ["-u", "NODE_OPTIONS", command, ...args], env: userEnvironment };
}

const main = resolve(repository, "build/src/cli/main.js");

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves once a text was printed that many times; rejects when the process ends before. */
  printed(text: string, times?: number): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface CliOptions {
  readonly cwd?: string;
  readonly input?: string;
  /** More variables of the environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** On a pseudo-terminal of its own, which `script` of Debian's essential packages makes; what it is told is written to `child.stdin`. */
  readonly terminal?: true;
}

/** A command as a shell takes it. */
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

export function startCli(args: readonly string[], options: CliOptions = {}): Running {
  const { command, args: words, env } = asUser(process.execPath, [main, ...args]);
  const typed = ["--quiet", "--return", "--flush", "--command", quoted([command, ...words]), "/dev/null"];
  const child = spawn(...(options.terminal === true ? (["script", typed] as const) : ([command, words] as const)), {
    cwd: options.cwd,
    env: { ...env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  running.add(child);
  let [stdout, stderr] = ["", ""];
  let look: () => void = () => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    look();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    look();
  });
  child.stdin.on("error", () => {});
  if (options.terminal !== true) child.stdin.end(options.input ?? "");
  const ended = new Promise<Ended>((end) => {
    child.on("close", (code, signal) => {
      running.delete(child);
      end({ code, signal, stdout, stderr });
      look();
    });
  });
  const printed = (text: string, times = 1): Promise<void> =>
    new Promise((found, failed) => {
      look = () => {
        if ((stdout + stderr).split(text).length > times) found();
        else if (child.exitCode !== null)
          failed(new Error(`it ended with ${child.exitCode} before it printed ${text}: ${stdout}${stderr}`));
      };
      look();
    });
  return { child, ended, printed };
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(args, options).ended;
}

/** Answers each question of a command on a terminal as it comes. */
export async function answer(running: Running, answers: readonly (readonly [string, string])[]): Promise<void> {
  for (const [question, text] of answers) {
    await running.printed(question);
    running.child.stdin!.write(`${text}\n`);
  }
}
