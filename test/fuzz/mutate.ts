// Turns valid samples into almost valid ones: bytes, protobuf fields and texts are changed where the format's own decisions lie. The
// same random numbers give the same input.
import type { Random } from "../../src/base/random.ts";
import { ByteReader, ByteWriter } from "../../src/base/bytes.ts";

export type Form = "bytes" | "protobuf" | "text";

const EDGES = [0, 1, 0x7f, 0x80, 0xff];
const VARINTS = [0, 1, 127, 128, 4096, 4097, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
const TOKENS = [
  "null",
  "true",
  "-1",
  "0",
  "1e999",
  "-1e999",
  "9007199254740993",
  "4294967296",
  "0.1",
  "NaN",
  '""',
  '"\\u0000"',
  '"\\ud800"',
  "[]",
  "{}",
  "[[[[[[[[[[[[[[[[",
  '{"a":{"a":{"a":{',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  "__proto__: {polluted: 1}",
  '{"__proto__":{"polluted":1}}',
  "&a [*a, *a]",
  "*missing",
  "!!binary aGVsbG8=",
  "? [a, b]",
  "<<: {a: 1}",
  "|\n  x",
  "---\n",
  "#",
  "\t",
  "+",
  "{x}",
  "%2F",
  "%",
  "/",
  "\u0000",
  "\ufeff",
  "😀",
  "é",
];

function below(random: Random, count: number): number {
  return Math.floor(random.next() * count);
}

export function pick<T>(random: Random, of: readonly T[]): T {
  return of[below(random, of.length)]!;
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - Math.min(remove, bytes.length - at) + insert.length);
  out.set(bytes.subarray(0, at));
  out.set(insert, at);
  out.set(bytes.subarray(Math.min(at + remove, bytes.length)), at + insert.length);
  return out;
}

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.uint32() & 0xff);
}

function mutateBytes(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const at = below(random, bytes.length + 1);
  const length = 1 + below(random, random.next() < 0.8 ? 8 : 200);
  switch (below(random, 8)) {
    case 0: {
      const out = new Uint8Array(bytes);
      if (out.length > 0) out[below(random, out.length)]! ^= 1 << below(random, 8);
      return out;
    }
    case 1: {
      const out = new Uint8Array(bytes);
      if (out.length > 0) out[below(random, out.length)] = pick(random, EDGES);
      return out;
    }
    case 2:
      return new Uint8Array(bytes.subarray(0, at));
    case 3:
      return splice(bytes, at, length, new Uint8Array(0));
    case 4:
      return splice(bytes, at, 0, randomBytes(random, length));
    case 5:
      return splice(bytes, at, 0, bytes.subarray(at, at + length));
    case 6:
      return splice(bytes, at, length, other.subarray(below(random, other.length + 1)).subarray(0, length));
    default: {
      const number = new ByteWriter(16);
      number.varint(pick(random, VARINTS));
      return splice(bytes, at, below(random, 4), number.written);
    }
  }
}

interface Field {
  readonly tag: number;
  readonly body: Uint8Array;
}

/** A message's fields with their bodies as they stand, or undefined where the bytes are no message. */
function fieldsOf(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  const from = new ByteReader(bytes);
  try {
    while (from.remaining > 0) {
      const tag = from.varint();
      const start = from.position;
      if ((tag & 7) === 0) from.varint();
      else if ((tag & 7) === 1) from.raw(8);
      else if ((tag & 7) === 5) from.raw(4);
      else if ((tag & 7) === 2) {
        fields.push({ tag, body: from.blob() });
        continue;
      } else return undefined;
      fields.push({ tag, body: bytes.subarray(start, from.position) });
    }
  } catch {
    return undefined;
  }
  return fields;
}

function writeFields(fields: readonly Field[]): Uint8Array {
  const out = new ByteWriter(256);
  for (const { tag, body } of fields) {
    out.varint(tag);
    if ((tag & 7) === 2) out.blob(body);
    else out.raw(body);
  }
  return out.written.slice();
}

function looksLikeText(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
}

function mutateField(field: Field, other: Uint8Array, random: Random): Field {
  const number = new ByteWriter(16);
  switch (field.tag & 7) {
    case 0:
      number.varint(pick(random, VARINTS));
      return { tag: field.tag, body: number.written.slice() };
    case 1:
    case 5:
      return { tag: field.tag, body: randomBytes(random, field.body.length) };
    default: {
      const isText = looksLikeText(field.body) && random.next() < 0.8;
      if (isText) return { tag: field.tag, body: mutateText(field.body, other, random) };
      const inner = fieldsOf(field.body);
      const goesIn = inner !== undefined && inner.length > 0 && random.next() < 0.9;
      return {
        tag: field.tag,
        body: goesIn ? mutateProtobuf(field.body, other, random) : mutateBytes(field.body, other, random),
      };
    }
  }
}

function mutateProtobuf(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const fields = fieldsOf(bytes);
  if (fields === undefined || fields.length === 0) return mutateBytes(bytes, other, random);
  const at = below(random, fields.length);
  const field = fields[at]!;
  switch (below(random, 8)) {
    case 0:
      fields.splice(at, 1);
      break;
    case 1:
      fields.splice(below(random, fields.length + 1), 0, field);
      break;
    case 2:
      fields[at] = { tag: (field.tag & ~7) | below(random, 8), body: field.body };
      break;
    case 3:
      fields[at] = { tag: (below(random, 20) << 3) | (field.tag & 7), body: field.body };
      break;
    case 4: {
      const swapped = below(random, fields.length);
      [fields[at], fields[swapped]] = [fields[swapped]!, field];
      break;
    }
    default:
      fields[at] = mutateField(field, other, random);
  }
  return writeFields(fields);
}

/** Places where a text's meaning turns: at and between punctuation. */
function mutateText(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const words = text.match(/[A-Za-z0-9_.-]+|\s+|[^A-Za-z0-9_.\s-]/g) ?? [""];
  const at = below(random, words.length);
  switch (below(random, 7)) {
    case 0:
      words[at] = pick(random, TOKENS);
      break;
    case 1:
      words.splice(at, 0, pick(random, TOKENS));
      break;
    case 2:
      words.splice(at, 1 + below(random, 3));
      break;
    case 3:
      words.splice(at, 0, ...words.slice(at, at + 1 + below(random, 20)));
      break;
    case 4: {
      const swapped = below(random, words.length);
      [words[at], words[swapped]] = [words[swapped]!, words[at]!];
      break;
    }
    case 5:
      words[at] = String(pick(random, VARINTS) * (random.next() < 0.3 ? -1 : 1));
      break;
    default:
      return mutateBytes(bytes, other, random);
  }
  // Tokens beyond latin1 stand there as UTF-8; what was there keeps its bytes.
  return Buffer.concat(
    words.map((word) => Buffer.from(word, Array.from(word).some((letter) => letter > "\u00ff") ? "utf8" : "latin1")),
  );
}

const MUTATORS = { bytes: mutateBytes, protobuf: mutateProtobuf, text: mutateText } as const;

/** An input: a sample changed in one to six places, or now and then nothing but random bytes. At most `bytesMax` long. */
export function mutate(samples: readonly Uint8Array[], form: Form, random: Random, bytesMax: number): Uint8Array {
  if (random.next() < 0.02) return randomBytes(random, below(random, 200));
  let bytes = pick(random, samples);
  const changes = 1 + Math.floor(random.next() ** 3 * 6);
  for (let i = 0; i < changes; i++) {
    const mutator = random.next() < 0.15 ? mutateBytes : MUTATORS[form];
    bytes = mutator(bytes, pick(random, samples), random);
  }
  return bytes.length > bytesMax ? new Uint8Array(bytes.subarray(0, bytesMax)) : bytes;
}
