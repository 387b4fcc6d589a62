// `hiddenstate check config.yaml`: whether a start would succeed, and what would happen.
import { Command } from "commander";
import { systemDisk } from "../base/disk.ts";
import { checkConfig } from "../runtime/check-config.ts";
import type { CheckedGroup, ConfigCheck } from "../runtime/check-config.ts";
import { withConfig } from "./with-config.ts";

function groupLines({ name, filters, formats, features, model, engine, kernel, scored, predictions }: CheckedGroup): string[] {
  return [
    `group ${name}`,
    `  subscribes to ${filters.join(", ")} (${formats.join(", ")})`,
    `  steps ${model.name} ${model.version} (${model.layers}) with the ${engine} engine (${kernel})`,
    `  takes ${features.join(", ")}`,
    `  predicts ${model.outputs.join(", ")}${scored ? ", with score and alarm" : ""}`,
    `  publishes to ${predictions}`,
  ];
}

function stateLine({ directory, standing, streams }: ConfigCheck["state"]): string {
  if (standing === "new") return `state: ${directory} is new`;
  const known = streams === 1 ? "1 stream" : `${streams} streams`;
  return standing === "running"
    ? `state: ${directory}, ${known}, in use by a running runtime`
    : `state: ${directory} fits; ${known} would go on where ${streams === 1 ? "it was" : "they were"}`;
}

/** For people; every value of it is in `--json`. */
export function checkLines(path: string, check: ConfigCheck): string[] {
  return [
    `${path} is good: ${check.node} would connect to ${check.broker}`,
    stateLine(check.state),
    ...check.groups.flatMap(groupLines),
    check.dashboard === undefined ? "dashboard: off" : `dashboard: on ${check.dashboard}`,
    ...check.notes.map((note) => `note: ${note}`),
  ];
}

export function checkCommand(): Command {
  return new Command("check")
    .description("say whether a start with this config would succeed, and what it would do; nothing is connected to or changed")
    .argument("<config>", "the YAML config; docs/config.md describes it")
    .option("--json", "print JSON")
    .action(async (path: string, { json }: { readonly json?: true }) => {
      const check = await withConfig(path, {}, (config) => checkConfig(config, systemDisk, process.env));
      process.stdout.write(json === true ? `${JSON.stringify(check)}\n` : `${checkLines(path, check).join("\n")}\n`);
    });
}
