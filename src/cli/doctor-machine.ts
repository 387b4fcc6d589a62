// The machine: Node, the kernels that run on it, its clock, how warm it is, and who may read the secrets.
import { readdir, readFile, stat } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { fastestKernel } from "../kernels/open-network.ts";
import type { Config } from "../runtime/config-schema.ts";
import { bad, good, note } from "./finding.ts";
import type { Finding } from "./finding.ts";

const NODE_MAJOR_WANTED = 22;
const WARM_CELSIUS = 80;
/** Read or write for the group or for others. */
const OPEN_TO_OTHERS = 0o077;

function nodeFinding(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  const text = `Node ${process.version} on ${process.arch}`;
  if (major >= NODE_MAJOR_WANTED) return good("node", text);
  return note(
    "node",
    `${text} gets no more security updates`,
    `use Node ${NODE_MAJOR_WANTED} or later where others can reach the box`,
  );
}

function kernelFinding(): Finding {
  const kernel = fastestKernel();
  if (kernel === "relaxed") return good("simd", "WebAssembly SIMD with fused multiply-add runs");
  if (kernel === "plain") return good("simd", "WebAssembly SIMD runs, without fused multiply-add");
  return note(
    "simd",
    "there is no WebAssembly SIMD: networks are stepped in TypeScript",
    "this works, at a fraction of the speed",
  );
}

function clockFinding(clock: Clock): Finding {
  if (clock.isSynced()) return good("clock", "the clock is set");
  const advice = "switch on systemd-timesyncd or chrony; until then readings without a time of their own get wrong ones";
  return bad("clock", "the clock is not synchronised", advice);
}

/** As the kernel tells it, in thousandths of a degree; undefined where it does not. */
async function celsius(folder: string): Promise<number | undefined> {
  const zones = await readdir(folder).catch(() => []);
  const readings = await Promise.all(
    zones
      .filter((zone) => zone.startsWith("thermal_zone"))
      .map((zone) => readFile(`${folder}/${zone}/temp`, "utf8").then(Number, () => Number.NaN)),
  );
  const known = readings.filter(Number.isFinite);
  return known.length === 0 ? undefined : Math.max(...known) / 1000;
}

async function temperatureFindings(folder: string): Promise<Finding[]> {
  const degrees = await celsius(folder);
  if (degrees === undefined) return [];
  const text = `the processor has ${degrees.toFixed(0)} °C`;
  if (degrees < WARM_CELSIUS) return [good("temperature", text, { celsius: degrees })];
  return [
    bad("temperature", text, "it slows down or stops when it gets warmer: give it air or a heat sink", { celsius: degrees }),
  ];
}

async function secretFindings({ mqtt, dashboard }: Config): Promise<Finding[]> {
  const files = [mqtt.passwordFile, mqtt.tls?.key, dashboard?.tokenFile, dashboard?.tls?.key].filter(
    (file) => file !== undefined,
  );
  const findings: Finding[] = [];
  for (const file of files) {
    const { mode } = await stat(file);
    if ((mode & OPEN_TO_OTHERS) === 0) findings.push(good("permissions", `only its owner can read ${file}`));
    else findings.push(bad("permissions", `others can read ${file}`, `chmod 600 ${file}`));
  }
  return findings;
}

/** `thermal` is the kernel's folder of thermal zones. Throws where a secret's file is absent. */
export async function examineMachine(config: Config, clock: Clock, thermal = "/sys/class/thermal"): Promise<Finding[]> {
  return [
    nodeFinding(),
    kernelFinding(),
    clockFinding(clock),
    ...(await temperatureFindings(thermal)),
    ...(await secretFindings(config)),
  ];
}
