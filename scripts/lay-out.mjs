// A production install for one kind of box, in an empty folder: what package.json ships, what it depends on at run time, and nothing that another
// platform, a compiler or a debugger alone would read. The Debian package is made of it, and `npm run size` measures it.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** By what npm calls the processor. onnxruntime has no build for 32-bit ARM: the native engine steps everything there. */
const boxes = { arm64: { onnxruntime: true }, x64: { onnxruntime: true }, arm: { onnxruntime: false } };

/** Read by compilers and debuggers only; a stack trace is the same without them. */
const IDLE = /\.(d\.[cm]?ts|map)$/;
/** By system and processor. */
const BINARIES = "node_modules/onnxruntime-node/bin/napi-v6";

/** Every file below a folder, by its path from there, in order. */
export function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .toSorted();
}

function npm(args, cwd) {
  // What npm tells its scripts of the project that it runs in must not be taken for this call's.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(config_(?!cache|registry)|package|lifecycle)/i.test(name)),
  );
  return execFileSync("npm", args, {
    cwd,
    env: { ...env, NODE_OPTIONS: "" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Downloads a package and unpacks it in `into`; npm holds it to its checksum. Throws where it is not the one that `integrity` names. */
export function unpackPackage(name, integrity, into) {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-pack-"));
  try {
    const [{ filename, integrity: got }] = Object.values(JSON.parse(npm(["pack", "--json", "--prefer-offline", name], folder)));
    if (got !== integrity) throw new Error(`cannot use ${name}: its checksum is ${got}, and ${integrity} is expected`);
    mkdirSync(into, { recursive: true });
    execFileSync("tar", ["xzf", join(folder, filename), "-C", into, "--strip-components=1"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Takes away what the box has no use for, in `app`. */
function prune(app, cpu) {
  for (const file of filesBelow(app)) if (IDLE.test(file)) rmSync(join(app, file));
  // They hold declarations only.
  rmSync(join(app, "node_modules/@types"), { recursive: true, force: true });
  rmSync(join(app, "node_modules/.package-lock.json"), { force: true });
  rmSync(join(app, "node_modules/.bin"), { recursive: true, force: true });
  const binaries = join(app, BINARIES);
  if (!existsSync(binaries)) return;
  for (const system of readdirSync(binaries)) {
    for (const kind of readdirSync(join(binaries, system))) {
      if (system !== "linux" || kind !== cpu) rmSync(join(binaries, system, kind), { recursive: true });
    }
    if (readdirSync(join(binaries, system)).length === 0) rmSync(join(binaries, system), { recursive: true });
  }
  if (!existsSync(join(binaries, "linux", cpu)))
    throw new Error(`cannot lay out onnxruntime for ${cpu}: its package has no build for it`);
}

/** Lays the project, which must be built, out in the empty folder `app`. */
export function layOut(app, cpu, { onnxruntime = boxes[cpu].onnxruntime } = {}) {
  mkdirSync(app, { recursive: true });
  const description = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of ["package.json", "package-lock.json", "LICENSE", "README.md", ...description.files]) {
    cpSync(join(root, name), join(app, name), { recursive: true });
  }
  const omit = ["--omit=dev", ...(onnxruntime ? [] : ["--omit=optional"])];
  npm(["ci", ...omit, "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--os=linux", `--cpu=${cpu}`], app);
  rmSync(join(app, "package-lock.json"));
  // What only a developer starts is not there.
  const { scripts: _, devDependencies: __, ...shipped } = description;
  writeFileSync(join(app, "package.json"), `${JSON.stringify(shipped, undefined, 2)}\n`);
  prune(app, cpu);
}
