// What `npm run addon` runs: the add-on for Home Assistant as a folder to copy to a box, manifest, Dockerfile and package for its processor. The project must be
// built.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./lay-out.mjs";

/** What the Supervisor calls a processor, by what Debian calls it. The package for 32-bit ARM carries no Node, and the Debian below the add-on has none new enough. */
const processors = { arm64: "aarch64", amd64: "amd64" };

const options = {
  /** Once for each kind of box that the folder is for. */
  arch: { type: "string", multiple: true, default: ["arm64"] },
  /** The folder that the add-on's folder is made in. */
  out: { type: "string", default: "." },
  /** As `npm run deb` has it, for a test. */
  node: { type: "string" },
  quick: { type: "boolean", default: false },
};
const { values: given } = parseArgs({ options });
const unknown = given.arch.find((arch) => !Object.hasOwn(processors, arch));
if (unknown !== undefined) {
  console.error(`cannot make an add-on for "${unknown}": it can be for ${Object.keys(processors).join(", ")}`);
  process.exit(2);
}

const source = join(root, "deploy/home-assistant");
const folder = resolve(given.out, "hiddenstate");
if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, "prepare.mjs"))) {
  console.error(`cannot make an add-on in ${folder}: there is something else; name another folder with --out`);
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
// The Dockerfile would install the package of an earlier version too.
for (const name of readdirSync(folder)) if (/^hiddenstate_.*\.deb$/.test(name)) rmSync(join(folder, name));
cpSync(source, folder, { recursive: true });
cpSync(join(root, "CHANGELOG.md"), join(folder, "CHANGELOG.md"));
const manifest = join(folder, "config.yaml");
const names = given.arch.map((arch) => processors[arch]).join(", ");
writeFileSync(manifest, readFileSync(manifest, "utf8").replace(/^arch: .*$/m, `arch: [${names}]`));
for (const arch of given.arch) {
  const words = ["--arch", arch, "--out", folder];
  if (given.quick) words.push("--quick");
  if (given.node !== undefined) words.push("--node", given.node);
  execFileSync(process.execPath, [join(root, "scripts/deb.mjs"), ...words], { stdio: ["ignore", "ignore", "inherit"] });
}
console.log(`${folder}: copy it into the folder addons of a box with Home Assistant`);
