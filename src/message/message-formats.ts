// The payload formats by the name that a config gives them. Two are our own; of the others a mapping says where the features stand.
import { decodeCbor } from "./cbor.ts";
import { csvDocuments, documentsOf, jsonDocuments, textDocuments } from "./documents.ts";
import type { DocumentFormat } from "./documents.ts";
import { jsonCodec } from "./json-codec.ts";
import { createMappedDecoder } from "./mapped-decoder.ts";
import type { FieldMapping } from "./field-mapping.ts";
import { decodeMessagePack } from "./message-pack.ts";
import type { PayloadDecoder } from "./payload-codec.ts";
import { ProtoMessages } from "./proto-message.ts";
import type { ProtoSchema } from "./proto-schema.ts";
import { protobufCodec } from "./protobuf-codec.ts";
import { documentsOfSamples } from "./samples.ts";
import { senmlDocuments } from "./senml.ts";
import { SparkplugNodes } from "./sparkplug.ts";

export const formatNames = ["protobuf", "json", "text", "csv", "cbor", "msgpack", "proto", "senml", "sparkplug"] as const;
export type FormatName = (typeof formatNames)[number];

/** Formats whose messages have named fields, and may carry our own. */
export const fieldFormats: ReadonlySet<FormatName> = new Set(["json", "cbor", "msgpack"]);

/** Formats whose messages are lists of values by name, some of which are nobody's features. */
export const sampleFormats: ReadonlySet<FormatName> = new Set(["senml", "sparkplug"]);

/** What decodes the messages of one group, on all its topics; it may remember what they said. */
export class MessageFormats {
  readonly #columns: readonly string[];
  readonly #messages: ProtoMessages | undefined;
  readonly #sparkplug = new SparkplugNodes();

  /** `columns`: of CSV. `schema`: of `proto`. */
  constructor(columns: readonly string[], schema?: ProtoSchema) {
    this.#columns = columns;
    this.#messages = schema && new ProtoMessages(schema);
  }

  /** Without a mapping: our own JSON or protobuf, features by name. */
  createDecoder(format: FormatName, mapping: FieldMapping | undefined): PayloadDecoder {
    if (format === "protobuf") return protobufCodec;
    if (mapping === undefined) return jsonCodec;
    const decoder = createMappedDecoder(format, this.#documents(format), mapping);
    if (format !== "sparkplug") return decoder;
    return Object.assign(decoder, { takeRequests: () => this.#sparkplug.takeRequests() });
  }

  #documents(format: Exclude<FormatName, "protobuf">): DocumentFormat {
    switch (format) {
      case "json":
        return jsonDocuments;
      case "text":
        return textDocuments;
      case "csv":
        return csvDocuments(this.#columns);
      case "cbor":
        return (payload) => documentsOf(decodeCbor(payload));
      case "msgpack":
        return (payload) => documentsOf(decodeMessagePack(payload));
      case "proto":
        return (payload) => ({ list: [this.#messages!.decode(payload)] });
      case "senml":
        return senmlDocuments;
      case "sparkplug":
        return (payload, origin, receivedAt) => documentsOfSamples(this.#sparkplug.read(payload, origin, receivedAt));
    }
  }
}
