// `hiddenstate init`: three questions, and the config that the answers make. What it writes has passed the check that `hiddenstate check`
// makes; a password is never shown or written.
import { access, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Command, Option } from "commander";
import { systemDisk } from "../base/disk.ts";
import { diskError, systemCodeOf } from "../base/errors.ts";
import { presetNames } from "../message/presets.ts";
import { checkConfig } from "../runtime/check-config.ts";
import { parseConfig } from "../runtime/config.ts";
import { configText } from "./config-text.ts";
import type { ConfigAnswers } from "./config-text.ts";
import { addBrokerOptions } from "./connection-config.ts";
import { BROKER, Initiation, refuse } from "./initiation.ts";
import type { InitOptions } from "./initiation.ts";
import { numberIn, words } from "./option-values.ts";
import { Questions } from "./questions.ts";

const CODECS = ["json", "protobuf", "text", "csv", "cbor", "msgpack", "senml"] as const;

/** What has to be known where nobody can be asked. */
function checkAnswered({ broker, preset, topic, model, learn, yes }: InitOptions): void {
  if (yes === true) return;
  const open = [
    ...(broker === undefined ? ["--broker"] : []),
    ...(preset === undefined && topic === undefined ? ["--preset or --topic"] : []),
    ...(model === undefined && learn === undefined ? ["--model or --learn"] : []),
  ];
  if (open.length > 0) refuse(`this is no terminal, so nothing can be asked; add ${open.join(", ")}, or --yes for what is usual`);
}

async function refuseToOverwrite(path: string): Promise<void> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) refuse(`${path} is there already; name another file, or move it away`);
}

async function init(path: string, options: InitOptions): Promise<void> {
  await refuseToOverwrite(path);
  const isAsked = options.yes !== true && process.stdin.isTTY;
  if (!isAsked) checkAnswered(options);
  const questions = isAsked ? new Questions() : undefined;
  let answers: ConfigAnswers;
  try {
    answers = await new Initiation(options, questions, dirname(resolve(path))).answers();
  } finally {
    questions?.close();
  }
  const text = configText(answers);
  const check = await checkConfig(parseConfig(text, resolve(path)), systemDisk, process.env);
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (thrown) {
    if (systemCodeOf(thrown) === "EEXIST") await refuseToOverwrite(path);
    throw diskError(`write ${path}`, thrown);
  }
  const next = `hiddenstate run ${path}`;
  if (options.json === true) process.stdout.write(`${JSON.stringify({ config: path, next, check })}\n`);
  else process.stdout.write(`${path} is written: ${check.groups.map(({ name }) => name).join(", ")}\nnext: ${next}\n`);
}

export function initCommand(): Command {
  const command = new Command("init")
    .description("ask three questions, look round on the broker, and write a config with comments")
    .argument("[file]", "the config to write; one that is there is left alone", "config.yaml")
    .option("--yes", "ask nothing: take what is usual where no option says otherwise")
    .option("--node <name>", "this box's name in topics (default: its host name)")
    .option("--json", "print JSON")
    .optionsGroup("Which broker:")
    .option("--broker <url>", `mqtt://host or mqtts://host (usual: ${BROKER})`);
  return addBrokerOptions(command)
    .option("--seconds <count>", "look round there for so long; 0: do not", numberIn(0, 3600, false), 5)
    .optionsGroup("Which readings (usual: all that are seen):")
    .addOption(new Option("--preset <name>", "of devices of this kind").choices(presetNames))
    .option("--topic <patterns>", "on these topics, with commas between: plant/{device}/readings", words)
    .addOption(new Option("--codec <name>", "how messages on them are written (usual: json)").choices(CODECS))
    .option("--features <paths>", "where the features stand in a message, with commas between; a model's in its order", words)
    .optionsGroup("What steps them (usual: --learn):")
    .option("--model <file>", "a model file")
    .addOption(new Option("--learn", "each stream learns a network of its own").conflicts("model"))
    .action(init);
}
