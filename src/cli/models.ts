// `hiddenstate models ...`: which model steps each group, another one in its place, and back: of a running runtime through its control socket,
// or of a stopped one on its directory.
import { copyFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { shortVersion } from "../model/model.ts";
import { loadModel } from "../onnx/load-model.ts";
import { ModelShelf } from "../runtime/model-shelf.ts";
import type { ListedModel, Switched } from "../runtime/model-switch.ts";
import { addControlCommand, print, withControl } from "./control-command.ts";
import type { ControlOptions } from "./control-command.ts";
import { tableLines, timeText } from "./table-lines.ts";

interface GroupOptions extends ControlOptions {
  readonly group: string;
  readonly unverified?: true;
}

const ORIGINS = {
  config: "named by the config",
  learning: "learned by each stream from its own readings",
  promoted: "put in force by command",
  update: "sent over MQTT",
} as const;

function ask(options: ControlOptions, method: string, params: unknown): Promise<unknown> {
  return withControl(options, (control) => control.request(method, params));
}

async function listed(options: ControlOptions): Promise<ListedModel[]> {
  return (await ask(options, "models", {})) as ListedModel[];
}

/** The file, or the update, that a model came from. */
function sourceOf({ lineage }: ListedModel): string {
  const update = lineage?.update;
  return update === undefined ? (lineage?.file ?? "") : `update ${update.counter}, signed by ${update.key}`;
}

/** The models as a table: of each group the one in force first. */
export function modelLines(models: readonly ListedModel[]): string[] {
  const rows = models.map((model) => {
    const { group, version, inForce, configured, since, lineage } = model;
    return [
      group,
      shortVersion(version),
      inForce ? "in force" : "before",
      timeText(inForce ? since : undefined),
      sourceOf(model),
      configured ? ORIGINS[lineage?.why === "learning" ? "learning" : "config"] : "",
    ];
  });
  return tableLines(["group", "version", "", "since", "from", ""], rows);
}

async function list(options: ControlOptions): Promise<void> {
  const models = await listed(options);
  if (options.json) print(models);
  else for (const line of modelLines(models)) print(line);
}

/** The version that the first digits mean. Throws `bad_argument` where they mean none or several. */
async function findVersion(digits: string, options: ControlOptions): Promise<ListedModel> {
  const models = await listed(options);
  const found = models.filter(({ version }) => version.startsWith(digits));
  const versions = new Set(found.map(({ version }) => version));
  if (versions.size === 1) return found[0]!;
  const what = versions.size === 0 ? "no version begins" : `${versions.size} versions begin`;
  throw new HiddenstateError("bad_argument", `cannot find model "${digits}": ${what} with that; list them first`);
}

function fileOf({ version }: ListedModel, options: ControlOptions): string {
  return new ModelShelf(systemDisk, `${options.state}/models`).fileOf(version);
}

async function show(digits: string, options: ControlOptions): Promise<void> {
  const model = await findVersion(digits, options);
  const { spec } = await loadModel(systemDisk, fileOf(model, options));
  if (options.json) return print({ ...model, spec });
  const { lineage, group, inForce, version } = model;
  print(`version   ${version}`);
  print(
    `model     ${spec.name}: ${spec.layers.map(({ cell, hidden }) => `${cell} ${hidden}`).join(", ")}, ${spec.head.kind} head`,
  );
  print(`group     ${group}, ${inForce ? "in force" : "was in force before"}`);
  print(`features  ${spec.features.map(({ name }) => name).join(", ")}`);
  print(`outputs   ${spec.outputs.map(({ name }) => name).join(", ")}`);
  if (lineage !== undefined) {
    print(`from      ${[sourceOf(model), ORIGINS[lineage.why], timeText(lineage.at)].filter(Boolean).join(", ")}`);
    if (lineage.base !== undefined) print(`base      ${lineage.base}`);
  }
  for (const [output, rmse] of Object.entries(spec.training?.testRmse ?? {})) {
    print(`loss      ${output}: RMSE ${rmse.toPrecision(4)} on the test rows of its training`);
  }
}

function tell({ group, version, from }: Switched, verb: string, options: ControlOptions): void {
  if (options.json) print({ group, version, from });
  else if (version === from) print(`group "${group}" is on model ${shortVersion(version)} already`);
  else print(`group "${group}" ${verb} model ${shortVersion(version)}, before ${shortVersion(from)}`);
}

async function promote(file: string, options: GroupOptions): Promise<void> {
  const { group, unverified = false } = options;
  const switched = await ask(options, "promote", { file: resolve(file), group, unverified });
  tell(switched as Switched, "is now on", options);
}

async function rollback(options: GroupOptions): Promise<void> {
  tell((await ask(options, "rollback", { group: options.group })) as Switched, "is back on", options);
}

async function tune(options: GroupOptions): Promise<void> {
  const asked = await ask(options, "tune", { group: options.group });
  if (options.json) print(asked);
  else print(`group "${options.group}" is fine-tuned in the background; see how it goes with: hiddenstate status`);
}

async function exportModel(digits: string, file: string, options: ControlOptions): Promise<void> {
  const model = await findVersion(digits, options);
  await copyFile(fileOf(model, options), file).catch((thrown: unknown) => {
    throw new HiddenstateError("bad_argument", `cannot write ${file}: ${reasonOf(thrown)}`, thrown);
  });
  print(options.json ? { version: model.version, file } : `model ${shortVersion(model.version)} is in ${file}`);
}

export function modelsCommand(): Command {
  const command = new Command("models").description(
    "show and change the models that step each group, whether the runtime is running or not",
  );
  const add = (name: string, description: string, action: (...args: never[]) => Promise<void>): Command =>
    addControlCommand(command, name, description, action);
  add("list", "of each group the model in force, and those that were before", list);
  add("show <version>", "where a model came from and what it is; the first digits of its version do", show);
  add("promote <file>", "put the model in a file in force, between two readings", promote)
    .requiredOption("-g, --group <name>", "the group that it steps")
    .option("--unverified", "without holding the native engine against onnxruntime on it first");
  add("rollback", "put the model in force that was before", rollback).requiredOption("-g, --group <name>", "the group");
  add("tune", "fine-tune the model in force on the group's readings, for a challenger", tune).requiredOption(
    "-g, --group <name>",
    "the group",
  );
  add("export <version> <file>", "write a model's file", exportModel);
  return command;
}
