// The payload formats by the name that a config gives them.
import { jsonCodec } from "./json-codec.ts";
import type { CodecName, PayloadCodec } from "./payload-codec.ts";
import { protobufCodec } from "./protobuf-codec.ts";

export const codecNames: readonly CodecName[] = ["protobuf", "json"];

export function payloadCodec(name: CodecName): PayloadCodec {
  return name === "protobuf" ? protobufCodec : jsonCodec;
}
