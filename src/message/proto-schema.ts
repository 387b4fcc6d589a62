// A user's protobuf message, compiled ahead: for each message its fields by number, with what a decoder needs of them. `hiddenstate proto
// compile` makes it out of a .proto file; the runtime holds no compiler of such files.
import { z } from "zod";
import { HiddenstateError } from "../base/errors.ts";

export const scalarTypes = [
  "double",
  "float",
  "int32",
  "int64",
  "uint32",
  "uint64",
  "sint32",
  "sint64",
  "fixed32",
  "fixed64",
  "sfixed32",
  "sfixed64",
  "bool",
  "string",
  "bytes",
] as const;
export type ScalarType = (typeof scalarTypes)[number];

const field = z.strictObject({
  name: z.string().min(1),
  /** A scalar type, or the full name of a message. An enum is an int32. */
  type: z.string().min(1),
  repeated: z.boolean().optional(),
  /** What is not on the wire is 0, false or empty, and not missing. */
  implicit: z.boolean().optional(),
});

const schema = z.strictObject({
  format: z.literal(1),
  /** The full name of what a payload is. */
  message: z.string().min(1),
  messages: z.record(z.string(), z.record(z.string().regex(/^[1-9]\d{0,8}$/, "expected a field number"), field)),
});

export type ProtoSchema = z.output<typeof schema>;
export type ProtoField = z.output<typeof field>;

/** Whether a type is one of the scalars, and not a message. */
export function isScalarType(type: string): type is ScalarType {
  return (scalarTypes as readonly string[]).includes(type);
}

/** Throws `bad_config` for what `hiddenstate proto compile` would not have written. */
export function parseProtoSchema(text: string, origin: string): ProtoSchema {
  const refuse = (reason: string, cause?: unknown): never => {
    const remedy = "make it with hiddenstate proto compile";
    throw new HiddenstateError("bad_config", `cannot use the schema ${origin}: ${reason}; ${remedy}`, cause);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return refuse("it is not JSON", thrown);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return refuse(`${issue.path.join(".")}: ${issue.message}`);
  }
  const { message, messages } = parsed.data;
  const types = Object.values(messages).flatMap((fields) => Object.values(fields).map(({ type }) => type));
  const absent = [message, ...types.filter((type) => !isScalarType(type))].find((name) => !Object.hasOwn(messages, name));
  return absent === undefined ? parsed.data : refuse(`it has no message ${absent}`);
}
