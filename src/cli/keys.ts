// `hiddenstate keys ...`: the key pairs that models are signed with before they are sent to boxes.
import { mkdir, open, readFile } from "node:fs/promises";
import type { KeyObject } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { Command } from "commander";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { PLAIN_NAME } from "../message/topics.ts";
import { createPrivateKeyText, keyIdOf, parsePrivateKey, publicKeyText } from "../message/update-key.ts";
import { print } from "./control-command.ts";

const SUFFIX = ".key";

/** Only who runs this may read it, and no key is ever written over. */
async function writePrivate(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (thrown) {
    throw new HiddenstateError("bad_argument", `cannot write ${path}: ${reasonOf(thrown)}; keys are never written over`, thrown);
  }
}

/** The private key in a file. Throws `bad_argument`. */
export async function readPrivateKey(path: string): Promise<KeyObject> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    throw new HiddenstateError("bad_argument", `cannot read the key ${path}: ${reasonOf(thrown)}`, thrown);
  }
  return parsePrivateKey(text);
}

/** What goes into a config, as YAML. */
function printPublic(name: string, path: string, key: KeyObject): void {
  const text = publicKeyText(key);
  print(`# ${path} holds the private half of key ${keyIdOf(text)}: keep it off the boxes. This goes into their configs:`);
  print(`updates: { keys: { ${name}: "${text}" } }`);
}

async function create(name: string, { out }: { readonly out: string }): Promise<void> {
  if (!PLAIN_NAME.test(name)) {
    throw new HiddenstateError("bad_argument", `cannot name a key "${name}": 1 to 64 of the characters A-Za-z0-9._- are allowed`);
  }
  const text = createPrivateKeyText();
  const path = join(out, `${name}${SUFFIX}`);
  await writePrivate(path, text);
  printPublic(name, path, parsePrivateKey(text));
}

async function show(path: string): Promise<void> {
  printPublic(basename(path, SUFFIX), path, await readPrivateKey(path));
}

export function keysCommand(): Command {
  const command = new Command("keys").description("the keys that models are signed with before they are sent to boxes");
  command
    .command("new")
    .description("make an ed25519 key pair: the private half in a file, the public half as it goes into a config")
    .argument("<name>", "what configs and logs are to call it")
    .option("--out <directory>", "where the file goes", ".")
    .action(create);
  command
    .command("show")
    .description("print the public half of a key once more")
    .argument("<file>", "the private half")
    .action(show);
  return command;
}
