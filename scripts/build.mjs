// Compiles the .proto files to static code, the AssemblyScript kernels to WebAssembly, and the TypeScript to build/. Plain JavaScript: it runs before anything is built.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tool = (...path) => join(root, "node_modules", ...path);

function run(script, args) {
  execFileSync(process.execPath, [script, ...args], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

function isNewer(file, than) {
  return !existsSync(than) || statSync(file).mtimeMs > statSync(than).mtimeMs;
}

/** Generated JavaScript goes to build/ by hand: tsc does not carry it along. */
function copyGenerated(folder) {
  const target = join(root, "build", "src", basename(dirname(folder)), "generated");
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(folder)) copyFileSync(join(folder, file), join(target, file));
}

/** Static protobuf code beside its .proto, in `generated/`. */
function compileProto(proto) {
  const name = basename(proto, ".proto");
  const folder = join(dirname(proto), "generated");
  const script = join(folder, `${name}.js`);
  if (isNewer(proto, script)) {
    mkdirSync(folder, { recursive: true });
    const trimmed = ["create", "verify", "delimited", "typeurl", "convert"].map((part) => `--no-${part}`);
    run(tool("protobufjs-cli", "bin", "pbjs"), ["-t", "static-module", "-w", "esm", "-d", ...trimmed, "-o", script, proto]);
  }
  copyGenerated(folder);
}

/**
 * The modules, what steps networks and what trains them, and the files of src/kernels/assembly whose exports are theirs; the others are
 * imported by them. What is exported stays a function of its own: the hot loops are slower inside another (docs/kernels.md).
 */
const KERNEL_MODULES = {
  simd: ["network.ts", "multiply-rows.ts", "multiply-fives.ts", "tanh-panel.ts", "cells.ts", "activation-rows.ts", "measure.ts"],
  training: [
    "sequence.ts",
    "affine.ts",
    "optimize.ts",
    "squared-error.ts",
    "multiply-rows.ts",
    "multiply-fives.ts",
    "multiply-narrow.ts",
    "outer-products.ts",
    "train-cells.ts",
    "activation-rows.ts",
    "measure.ts",
  ],
};
/** One build with relaxed multiply-add, one without (docs/kernels.md). */
const KERNEL_BUILDS = { relaxed: ["--enable", "relaxed-simd"], plain: [] };

/** The kernels as modules that hold their WebAssembly in base64, in src/kernels/generated. */
function compileKernels() {
  const sources = join(root, "src", "kernels", "assembly");
  const folder = join(root, "src", "kernels", "generated");
  mkdirSync(folder, { recursive: true });
  for (const [module, files] of Object.entries(KERNEL_MODULES)) {
    for (const [name, features] of Object.entries(KERNEL_BUILDS)) {
      const script = join(folder, `${module}-${name}.js`);
      if (!readdirSync(sources).some((file) => isNewer(join(sources, file), script))) continue;
      const wasm = join(folder, `${module}-${name}.wasm`);
      const options = ["--enable", "simd", ...features, "-O3", "--noAssert", "--runtime", "stub", "--use", "abort="];
      const memory = ["--importMemory", "--noExportMemory"];
      const entries = files.map((file) => join(sources, file));
      run(tool("assemblyscript", "bin", "asc.js"), [...entries, "--baseDir", sources, ...options, ...memory, "-o", wasm]);
      const variable = `${module}${name[0].toUpperCase()}${name.slice(1)}`;
      writeFileSync(script, `export const ${variable} = "${readFileSync(wasm, "base64")}";\n`);
      writeFileSync(script.replace(/js$/, "d.ts"), `/** WebAssembly, in base64. */\nexport declare const ${variable}: string;\n`);
      rmSync(wasm);
    }
  }
  copyGenerated(folder);
}

/** The dashboard's page goes to build/ as it is. */
function copyPage() {
  const target = join(root, "build", "src", "dashboard", "page");
  mkdirSync(target, { recursive: true });
  const page = join(root, "src", "dashboard", "page");
  for (const file of readdirSync(page)) copyFileSync(join(page, file), join(target, file));
}

export function build() {
  for (const folder of readdirSync(join(root, "src"))) {
    const path = join(root, "src", folder);
    if (!statSync(path).isDirectory()) continue;
    for (const file of readdirSync(path)) if (file.endsWith(".proto")) compileProto(join(path, file));
  }
  compileKernels();
  copyPage();
  run(tool("typescript", "bin", "tsc"), ["-p", "tsconfig.json"]);
  const bin = join(root, "build", "src", "cli", "main.js");
  if (existsSync(bin)) chmodSync(bin, 0o755);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
