// Test files under an emulated Node, as many at a time as there are processors, with what each took of them: the time on the wall says what
// else the machine had to do.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

const MINUTES_MAX = 30;

/** Process groups that run now: each job is one, so that what it has started ends with it. */
const running = new Set();
const killAll = () => {
  for (const group of running) process.kill(-group, "SIGKILL");
};

/** The seconds of the processor that `times` of a shell says its children took: the second line, "0m1.23s 0m0.04s". */
function childSeconds(text) {
  const parts = [...(text.trim().split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}

/** Runs a job; its output is kept until it ends. The shell is there to count its processor time. */
function runOne({ name, node, args, check = () => undefined }, root, folder) {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const times = join(folder, `${name.replaceAll(/[^\w.-]/g, "_")}.times`);
    const shell = ["-c", `times=$1; shift; "$@"; code=$?; times > "$times"; exit $code`, "sh", times, node, ...args];
    const env = { ...process.env, HIDDENSTATE_EMULATED: "1", TAP_TIMEOUT: String(60 * MINUTES_MAX), TMPDIR: folder };
    const child = spawn("sh", shell, { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child.pid);
    const timer = setTimeout(() => process.kill(-Number(child.pid), "SIGKILL"), MINUTES_MAX * 60_000);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (output += text));
    child.on("close", (code) => {
      clearTimeout(timer);
      running.delete(child.pid);
      const problem = code === 0 ? check(output) : `ended with ${code ?? `no answer within ${MINUTES_MAX} minutes`}`;
      const cpu = code === null ? Number.NaN : childSeconds(readFileSync(times, "utf8"));
      resolve({ name, problem, output, cpu, wall: (performance.now() - startedAt) / 1000 });
    });
  });
}

/** Skipped tests of a TAP output, with why. */
function skipsOf(output) {
  return [...output.matchAll(/^ok \d+ - (.*) # SKIP (.*)$/gm)].map(([, name, why]) => `${name}: ${why}`);
}

/** Runs all jobs, prints a line for each as it ends and what the whole took. Whether all passed. */
export async function runJobs(jobs, root) {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-arm-"));
  const startedAt = performance.now();
  const waiting = [...jobs];
  const results = [];
  const work = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const result = await runOne(job, root, folder);
      results.push(result);
      const { name, problem, output, cpu, wall } = result;
      const verdict = problem === undefined ? "passed" : "FAILED";
      console.log(`${verdict} ${cpu.toFixed(1).padStart(7)} s of CPU ${wall.toFixed(0).padStart(5)} s  ${name}`);
      for (const skip of skipsOf(output)) console.log(`         left out: ${skip}`);
      if (job.tell === true) console.log(output.trim().replaceAll(/^/gm, "         "));
      if (problem !== undefined) console.log(`${problem}\n${output}`);
    }
  };
  process.once("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  try {
    await Promise.all(Array.from({ length: availableParallelism() }, work));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const minutes = (performance.now() - startedAt) / 60_000;
  const cpuMinutes = results.reduce((sum, { cpu }) => sum + cpu, 0) / 60;
  const share = (100 * cpuMinutes) / (minutes * availableParallelism());
  const failed = results.filter(({ problem }) => problem !== undefined).map(({ name }) => name);
  console.log(
    `${results.length - failed.length} of ${results.length} passed; ${cpuMinutes.toFixed(1)} minutes of CPU in ${minutes.toFixed(1)} minutes, ` +
      `${share.toFixed(0)} % of ${availableParallelism()} processors`,
  );
  if (failed.length > 0) console.log(`failed: ${failed.join(", ")}`);
  return failed.length === 0;
}
