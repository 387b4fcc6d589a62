// A machine to install things on and to throw away: a real systemd as process 1 of its own namespaces, with this one's programs below overlays.
// It can reach nothing of this machine but the network and the processor: all other files are read-only or hidden, and it knows no unit but
// those that are named here. One SIGKILL ends it.
import { execFile, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Ended } from "./cli.ts";

const HIERARCHY = "/sys/fs/cgroup/systemd";
const START_MS_MAX = 30_000;

/**
 * What every service pulls in at the start of a real machine: empty here, for it would clear folders, load modules and set the kernel's
 * parameters of the machine below.
 */
const EMPTY_TARGETS = ["sysinit", "basic", "shutdown", "network-online", "multi-user", "umount", "final"];
const JOURNAL = ["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"];

/** Where what a test gives to the machine lies in it. */
export const GIVEN = "/run/given";

const BEGIN = `set -e
folder=$1; shift
mount -t tmpfs tmpfs "$folder"
for name in usr etc var; do
  mkdir -p "$folder/$name/upper" "$folder/$name/work"
  mount -t overlay overlay -o "lowerdir=/$name,upperdir=$folder/$name/upper,workdir=$folder/$name/work" "/$name"
done
mkdir "$folder/run"
mount -t tmpfs tmpfs "$folder/run"
mkdir -p "$folder/run/given" "$folder/run/units"
while [ $# -gt 0 ]; do
  mkdir "$folder/run/given/$1"
  mount --bind "$2" "$folder/run/given/$1"
  mount -o remount,bind,ro "$folder/run/given/$1"
  shift 2
done
mount --rbind "$folder/run" /run
mkdir "$folder/dev"
mount -t tmpfs tmpfs "$folder/dev"
mkdir "$folder/dev/shm" "$folder/dev/pts"
for device in null zero full random urandom tty; do cp -a "/dev/$device" "$folder/dev/$device"; done
ln -s pts/ptmx "$folder/dev/ptmx"
mount --rbind "$folder/dev" /dev
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -R /sys/fs/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
mount -o remount,bind,ro /sys
mount -o remount,bind,ro /
mount -t tmpfs tmpfs /tmp
cd /
for name in ${EMPTY_TARGETS.join(" ")}; do
  printf '[Unit]\\nDescription=Nothing\\nDefaultDependencies=no\\n' > "/run/units/$name.target"
done
for name in ${JOURNAL.join(" ")}; do cp "/lib/systemd/system/$name" /run/units/; done
printf '[Unit]\\nDescription=Nothing but a journal\\nDefaultDependencies=no\\nWants=systemd-journald.service\\n' > /run/units/nothing.target
printf '%032x\\n' 1 > /etc/machine-id
export container=test SYSTEMD_UNIT_PATH=/run/units
exec /lib/systemd/systemd --system --unit=nothing.target --log-target=journal --show-status=no
`;

/** For a test's `skip` option: why there can be none here, or false. */
export function machineMissing(): string | false {
  if (process.getuid?.() !== 0) return "it takes root to make a machine that is thrown away";
  if (!existsSync(HIERARCHY)) return "this system has no control groups of systemd's own (cgroup v1) to give to a second one";
  if (spawnSync("unshare", ["--mount", "--pid", "--fork", "test", "-w", HIERARCHY]).status !== 0) {
    return "root may not make namespaces and control groups here";
  }
  if (!existsSync("/lib/systemd/systemd")) return "systemd is missing; install it with: apt-get install systemd";
  return false;
}

function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeGroup(join(path, entry.name));
  rmdirSync(path);
}

export class DisposableMachine {
  readonly #child: ChildProcess;
  readonly #init: number;
  readonly #folder: string;
  readonly #group: string;

  private constructor(child: ChildProcess, init: number, folder: string, group: string) {
    this.#child = child;
    this.#init = init;
    this.#folder = folder;
    this.#group = group;
  }

  /** With folders of this machine below `GIVEN`, by name, to be read. */
  static async start(given: Readonly<Record<string, string>>): Promise<DisposableMachine> {
    const folder = mkdtempSync(join(tmpdir(), "hiddenstate-machine-"));
    const group = join(HIERARCHY, basename(folder));
    mkdirSync(group);
    const namespaces = ["--mount", "--pid", "--cgroup", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"];
    // The group must be entered before its namespace is made, for it becomes the root there.
    const enter = 'echo $$ > "$0/cgroup.procs"; exec unshare "$@"';
    const words = [...namespaces, "sh", "-c", BEGIN, "sh", folder, ...Object.entries(given).flat()];
    const child = spawn("sh", ["-c", enter, group, ...words], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] },
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    process.once("exit", () => child.kill("SIGKILL"));
    for (const until = performance.now() + START_MS_MAX; performance.now() < until; await sleep(100)) {
      if (child.exitCode !== null) throw new Error(`no machine: ${said}`);
      const init = Number(readFileSync(`/proc/${child.pid!}/task/${child.pid!}/children`, "utf8").split(" ")[0]);
      if (init === 0) continue;
      const machine = new DisposableMachine(child, init, folder, group);
      const { code } = await machine.run("systemctl", ["is-active", "systemd-journald.service"]);
      if (code === 0) return machine;
    }
    child.kill("SIGKILL");
    throw new Error(`no machine within ${START_MS_MAX} ms: ${said}`);
  }

  /** Runs a program there as root. */
  run(program: string, args: readonly string[]): Promise<Ended> {
    const words = [
      "--target",
      String(this.#init),
      "--mount",
      "--pid",
      "--uts",
      "--ipc",
      "env",
      "-u",
      "NODE_OPTIONS",
      program,
      ...args,
    ];
    return new Promise((ended) => {
      execFile("nsenter", words, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        ended({ code, signal: null, stdout, stderr });
      });
    });
  }

  /** The same; throws with what it said where it fails. */
  async must(program: string, args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args);
    if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  async close(): Promise<void> {
    const ended = new Promise((end) => this.#child.once("close", end));
    this.#child.kill("SIGKILL");
    await ended;
    // What was in it ends a moment later.
    for (let tries = 0; tries < 50; tries++) {
      try {
        removeGroup(this.#group);
        break;
      } catch {
        await sleep(100);
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
