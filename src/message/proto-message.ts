// Payloads that are a user's own protobuf message, read by its compiled schema (protobuf.dev, "Encoding"). What the schema does not name is
// passed over, as every protobuf decoder does.
import protobuf from "protobufjs/minimal.js";
import { reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { roundedNumber } from "./exact-number.ts";
import { checkPayloadSize } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";
import { isScalarType } from "./proto-schema.ts";
import type { ProtoField, ProtoSchema, ScalarType } from "./proto-schema.ts";

type Reader = protobuf.Reader;
type Fields = ReadonlyMap<number, ProtoField>;

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5];

interface Scalar {
  readonly wire: number;
  readonly default: unknown;
  readonly read: (reader: Reader) => unknown;
}

const SCALARS: Readonly<Record<ScalarType, Scalar>> = {
  double: { wire: FIXED64, default: 0, read: (reader) => reader.double() },
  float: { wire: FIXED32, default: 0, read: (reader) => reader.float() },
  int32: { wire: VARINT, default: 0, read: (reader) => reader.int32() },
  int64: { wire: VARINT, default: 0, read: (reader) => roundedNumber(reader.int64(), true) },
  uint32: { wire: VARINT, default: 0, read: (reader) => reader.uint32() },
  uint64: { wire: VARINT, default: 0, read: (reader) => roundedNumber(reader.uint64()) },
  sint32: { wire: VARINT, default: 0, read: (reader) => reader.sint32() },
  sint64: { wire: VARINT, default: 0, read: (reader) => roundedNumber(reader.sint64(), true) },
  fixed32: { wire: FIXED32, default: 0, read: (reader) => reader.fixed32() },
  fixed64: { wire: FIXED64, default: 0, read: (reader) => roundedNumber(reader.fixed64()) },
  sfixed32: { wire: FIXED32, default: 0, read: (reader) => reader.sfixed32() },
  sfixed64: { wire: FIXED64, default: 0, read: (reader) => roundedNumber(reader.sfixed64(), true) },
  bool: { wire: VARINT, default: false, read: (reader) => reader.bool() },
  string: { wire: DELIMITED, default: "", read: (reader) => reader.string() },
  bytes: { wire: DELIMITED, default: new Uint8Array(0), read: (reader) => reader.bytes().slice() },
};

function fieldsByNumber(fields: Readonly<Record<string, ProtoField>>): Fields {
  return new Map(Object.entries(fields).map(([number, field]) => [Number(number), field]));
}

export class ProtoMessages {
  readonly #name: string;
  readonly #messages: ReadonlyMap<string, Fields>;

  constructor({ message, messages }: ProtoSchema) {
    this.#name = message;
    this.#messages = new Map(Object.entries(messages).map(([name, fields]) => [name, fieldsByNumber(fields)]));
  }

  /** The message's fields by name; those of messages in it are objects, repeated ones arrays. Throws PayloadError. */
  decode(payload: Uint8Array): Readonly<Record<string, unknown>> {
    checkPayloadSize(payload);
    try {
      return this.#message(protobuf.Reader.create(payload), payload.length, this.#name, 0);
    } catch (thrown) {
      throw new PayloadError("undecodable", `cannot decode payload: it is not a ${this.#name}: ${reasonOf(thrown)}`, thrown);
    }
  }

  #message(reader: Reader, end: number, name: string, depth: number): Readonly<Record<string, unknown>> {
    if (depth > limits.nestingMax) throw new RangeError(`it is nested deeper than ${limits.nestingMax} levels`);
    const fields = this.#messages.get(name)!;
    const values = new Map<string, unknown>();
    for (const { name: field, type, implicit, repeated } of fields.values()) {
      if (repeated === true) values.set(field, []);
      else if (implicit === true && isScalarType(type)) values.set(field, SCALARS[type].default);
    }
    while (reader.pos < end) {
      const tag = reader.uint32();
      const [number, wire] = [tag >>> 3, tag & 7];
      const field = fields.get(number);
      if (field === undefined || !this.#field(reader, wire, field, values, depth)) reader.skipType(wire);
    }
    if (reader.pos !== end) throw new RangeError("a message in it is longer than it says");
    // Unlike assignment, this makes even `__proto__` an ordinary field.
    return Object.fromEntries(values);
  }

  /** Reads a field's value; false where it is not on the wire as its type would be. */
  #field(reader: Reader, wire: number, field: ProtoField, values: Map<string, unknown>, depth: number): boolean {
    const { name, type, repeated } = field;
    const list = repeated === true ? (values.get(name) as unknown[]) : undefined;
    const put = (value: unknown): void => {
      if (list === undefined) values.set(name, value);
      else list.push(value);
    };
    if (!isScalarType(type)) {
      if (wire !== DELIMITED) return false;
      const end = reader.uint32() + reader.pos;
      if (end > reader.len) throw new RangeError("it is cut short");
      put(this.#message(reader, end, type, depth + 1));
      return true;
    }
    const scalar = SCALARS[type];
    if (wire === scalar.wire) {
      put(scalar.read(reader));
      return true;
    }
    // Numbers that repeat may be packed, whatever their declaration says.
    if (wire !== DELIMITED || list === undefined) return false;
    const end = reader.uint32() + reader.pos;
    if (end > reader.len) throw new RangeError("it is cut short");
    while (reader.pos < end) put(scalar.read(reader));
    return true;
  }
}
