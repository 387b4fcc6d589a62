// `hiddenstate doctor config.yaml`: measures whether this machine, its disk and its broker hold what the contract needs of them.
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { createSystemRandom } from "../base/random.ts";
import type { Config } from "../runtime/config-schema.ts";
import { BrokerExamination } from "./doctor-broker.ts";
import { examineDisk } from "./doctor-disk.ts";
import { examineMachine } from "./doctor-machine.ts";
import { examineModels } from "./doctor-models.ts";
import type { Finding } from "./finding.ts";
import { numberIn } from "./option-values.ts";
import { withConfig } from "./with-config.ts";

interface DoctorOptions {
  readonly rate: number;
  readonly json?: true;
}

const SIGNS = { good: "ok  ", note: "note", bad: "BAD " } as const;
const FOUND_SOMETHING_BAD = 1;

/** For people; the figures are in `--json`. */
export function findingLines(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = findings.flatMap(({ about, verdict, text, advice }) => [
    `${SIGNS[verdict]}  ${about.padEnd(width)}  ${text}`,
    ...(advice === undefined ? [] : [`${" ".repeat(width + 8)}-> ${advice}`]),
  ]);
  const count = findings.filter(({ verdict }) => verdict === "bad").length;
  return [...lines, count === 0 ? "nothing is bad" : `${count} ${count === 1 ? "thing is" : "things are"} bad`];
}

async function examine(config: Config, rate: number): Promise<Finding[]> {
  const [clock, disk] = [systemClock, systemDisk];
  return [
    ...(await examineMachine(config, clock)),
    ...(await examineModels(config, disk, clock, rate)),
    ...(await examineDisk(config, disk, clock, rate)),
    ...(await new BrokerExamination(config, disk, clock, createSystemRandom()).examine()),
  ];
}

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "measure what a config would run on: engines, disk, clock, permissions, and whether the broker keeps what it acknowledges",
    )
    .argument("<config>", "the YAML config; docs/config.md describes it")
    .option("--rate <count>", "readings a second that are expected in all", numberIn(0.001, 1e6, false), 10)
    .option("--json", "print JSON, with everything measured")
    .action(async (path: string, { rate, json }: DoctorOptions) => {
      const findings = await withConfig(path, {}, (config) => examine(config, rate));
      process.stdout.write(json === true ? `${JSON.stringify(findings)}\n` : `${findingLines(findings).join("\n")}\n`);
      if (findings.some(({ verdict }) => verdict === "bad")) process.exitCode = FOUND_SOMETHING_BAD;
    });
}
