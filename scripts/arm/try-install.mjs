// The package as a user of the other processor has it: packed, installed with npm for that processor in an empty folder, then run under the
// emulated Node: the demo (broker, devices and runtime in one process) on a state directory from this machine, kill -9, the demo again, doctor.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { targets } from "./emulated-node.mjs";

const MINUTES_MAX = 10;
const MISSING_PACKAGE = 69;

/** A folder with what `npm ci` has made of the packed files for a processor. */
function install(cpu, root, folder) {
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  const npm = (args, cwd) => execFileSync("npm", args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const [packed] = Object.values(JSON.parse(npm(["pack", "--ignore-scripts", "--json", "--pack-destination", folder], root)));
  execFileSync("tar", ["-x", "-C", folder, "-f", join(folder, packed.filename)]);
  const home = join(folder, "package");
  // The versions that were tested; npm packs no lock.
  copyFileSync(join(root, "package-lock.json"), join(home, "package-lock.json"));
  npm(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", `--cpu=${cpu}`, "--os=linux"], home);
  return home;
}

/** The demo until it has printed its table, then SIGKILL. The emulator is the process that the kernel knows: killed, it takes all along. */
function killDemo(command, env, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), MINUTES_MAX * 60_000);
    const look = (text) => {
      printed += text;
      // Its first line of figures that are not 0.
      if (/[1-9]\d* predictions/.test(printed)) child.kill("SIGKILL");
    };
    child.stdout.setEncoding("utf8").on("data", look);
    child.stderr.setEncoding("utf8").on("data", look);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (signal === "SIGKILL" && /[1-9]\d* predictions/.test(printed)) resolve();
      else reject(new Error(`the demo ended with ${signal ?? code} before it could be killed:\n${printed}`));
    });
  });
}

/** Whether a demo that ended in order went on with all its streams, predicted every reading that came over MQTT, and lost none. */
function wentOn({ status, stdout }, streams) {
  if (status !== 0) return false;
  const { resumedStreams, readings, predictions, readingsLost } = JSON.parse(stdout);
  return resumedStreams === streams && readings > 0 && predictions >= readings && readingsLost === 0;
}

/** Prints what it finds; whether all is as it should be. */
export async function tryInstall(name, node, root) {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-install-"));
  const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` };
  let right = true;
  const expect = (what, holds, found) => {
    console.log(`${holds ? "passed" : "FAILED"}  installed for ${name}: ${what}${holds ? "" : `: ${found}`}`);
    right &&= holds;
  };
  try {
    const home = install(targets[name].cpu, root, folder);
    const main = join(home, "build", "src", "cli", "main.js");
    const run = (...args) => spawnSync(main, args, { cwd: folder, env, encoding: "utf8", timeout: MINUTES_MAX * 60_000 });
    const version = run("--version");
    expect("says its version", /^\d+\.\d+\.\d+\n$/.test(version.stdout), version.stdout + version.stderr);

    const demo = ["demo", "--devices", "5", "--rate", "5"];
    await killDemo([process.execPath, main, ...demo], process.env, folder);
    const first = run(...demo, "--seconds", "5", "--json");
    const isWhole = wentOn(first, 5);
    expect(`the demo goes on from a directory killed on ${process.arch}`, isWhole, first.stdout + first.stderr);
    await killDemo([main, ...demo], env, folder);
    const again = run(...demo, "--seconds", "3", "--json");
    expect("the demo goes on after kill -9", wentOn(again, 5), again.stdout + again.stderr);

    const model = join(home, "models", "bearing.onnx");
    const verify = run("verify", model);
    if (targets[name].node === undefined) {
      const isTold = verify.status === MISSING_PACKAGE && verify.stderr.includes("there is none for 32-bit ARM");
      expect("verify says that there is no onnxruntime", isTold, verify.stdout + verify.stderr);
    } else expect("verify holds the native engine against onnxruntime", verify.status === 0, verify.stdout + verify.stderr);

    const config = join(folder, "config.yaml");
    // Nobody listens on that port: doctor says so, and everything else it finds out.
    writeFileSync(
      config,
      `node: try\nstate: state\nmqtt: { url: "mqtt://127.0.0.1:9" }\ngroups: [{ name: g, topic: "s/{d}", codec: json, model: ${JSON.stringify(model)} }]\n`,
    );
    const doctor = run("doctor", config, "--json");
    const findings = doctor.stdout.startsWith("[") ? JSON.parse(doctor.stdout) : [];
    const isExamined = findings.some(({ about, text }) => about === "node" && `${text} `.includes(` on ${targets[name].cpu} `));
    expect("doctor examines it", isExamined, doctor.stdout + doctor.stderr);
    for (const { about, verdict, text } of findings) console.log(`          ${verdict} ${about}: ${text}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return right;
}
