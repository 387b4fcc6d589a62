// `hiddenstate proto compile`: a .proto file to the schema by which the runtime reads messages of that kind.
import { readFile, writeFile } from "node:fs/promises";
import { Command } from "commander";
import protobuf from "protobufjs";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { isScalarType, parseProtoSchema } from "../message/proto-schema.ts";
import type { ProtoField, ProtoSchema } from "../message/proto-schema.ts";

function fullNameOf(type: protobuf.ReflectionObject): string {
  return type.fullName.replace(/^\./, "");
}

/** The types of all messages below a namespace. */
function messagesBelow(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray.flatMap((nested) => [
    ...(nested instanceof protobuf.Type ? [nested] : []),
    ...(nested instanceof protobuf.Namespace ? messagesBelow(nested) : []),
  ]);
}

function fieldOf(field: protobuf.Field): ProtoField {
  const { name, resolvedType, repeated, hasPresence } = field;
  if (field.map) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot compile ${fullNameOf(field)}: maps are not read; name its values as fields`,
    );
  }
  const type = resolvedType instanceof protobuf.Enum ? "int32" : resolvedType === null ? field.type : fullNameOf(resolvedType);
  const implicit = isScalarType(type) && !repeated && !hasPresence;
  return { name, type, ...(repeated ? { repeated } : {}), ...(implicit ? { implicit } : {}) };
}

/** The messages that `type` is made of, itself among them. */
function collect(type: protobuf.Type, into: Record<string, Record<string, ProtoField>>): void {
  const name = fullNameOf(type);
  if (Object.hasOwn(into, name)) return;
  const fields: Record<string, ProtoField> = {};
  into[name] = fields;
  for (const field of type.fieldsArray) {
    fields[String(field.id)] = fieldOf(field);
    if (field.resolvedType instanceof protobuf.Type) collect(field.resolvedType, into);
  }
}

/** The message that was asked for, or the only one. */
function choose(root: protobuf.Root, asked: string | undefined, path: string): protobuf.Type {
  const own = messagesBelow(root).filter(({ filename }) => filename === path || filename === null);
  const names = own.map(fullNameOf);
  const found = own.find((type) => (asked === undefined ? own.length === 1 : fullNameOf(type) === asked));
  if (found !== undefined) return found;
  const what = asked === undefined ? "it does not have one message alone; name one by --message" : `it has no message ${asked}`;
  throw new HiddenstateError("bad_argument", `cannot compile ${path}: ${what}: ${names.join(", ") || "it has none"}`);
}

/** The schema of a message of a .proto file. Throws `bad_argument` for a file that cannot be read or compiled. */
export async function compileProto(path: string, message: string | undefined): Promise<ProtoSchema> {
  // protobufjs looks for a file in more places than the one named.
  await readFile(path).catch((thrown: unknown) => {
    throw new HiddenstateError("bad_argument", `cannot read ${path}: ${reasonOf(thrown)}`, thrown);
  });
  const root = new protobuf.Root();
  try {
    await root.load(path, { keepCase: true });
    root.resolveAll();
  } catch (thrown) {
    throw new HiddenstateError("bad_argument", `cannot compile ${path}: ${reasonOf(thrown)}`, thrown);
  }
  const chosen = choose(root, message, path);
  const messages: Record<string, Record<string, ProtoField>> = {};
  collect(chosen, messages);
  return { format: 1, message: fullNameOf(chosen), messages };
}

interface CompileOptions {
  readonly message?: string;
  readonly out: string;
  readonly json?: true;
}

async function compile(path: string, options: CompileOptions): Promise<void> {
  const text = `${JSON.stringify(await compileProto(path, options.message), null, 2)}\n`;
  const { message, messages } = parseProtoSchema(text, options.out);
  await writeFile(options.out, text).catch((thrown: unknown) => {
    throw new HiddenstateError("bad_argument", `cannot write ${options.out}: ${reasonOf(thrown)}`, thrown);
  });
  const fields = Object.values(messages[message]!);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ out: options.out, message, fields })}\n`);
    return;
  }
  const names = fields.map(({ name, type }) => `${name} (${type})`);
  process.stdout.write(`${options.out}: ${message}: ${names.join(", ")}\n`);
}

export function protoCommand(): Command {
  const command = new Command("proto").description("read devices' own protobuf messages");
  command
    .command("compile")
    .description("compile a .proto file to the schema that a config names")
    .argument("<file>", "a .proto file")
    .option("--message <name>", "the full name of the message, where the file has several")
    .requiredOption("--out <file>", "the schema to write")
    .option("--json", "print JSON")
    .action(compile);
  return command;
}
