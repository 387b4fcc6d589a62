// Reads the schema of devices' own protobuf messages, where a group names one.
import { readFully } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseProtoSchema } from "../message/proto-schema.ts";
import type { ProtoSchema } from "../message/proto-schema.ts";

/** Throws `bad_config` for a file that is absent, or no schema. */
export async function loadProtoSchema(disk: Disk, path: string): Promise<ProtoSchema> {
  let bytes: Uint8Array;
  try {
    const file = await disk.open(path, "read");
    try {
      // What is longer is cut, and then no JSON.
      const size = Math.min(await file.size(), limits.protoSchemaBytesMax);
      bytes = new Uint8Array(size);
      await readFully(file, bytes, 0);
    } finally {
      await file.close();
    }
  } catch (thrown) {
    throw new HiddenstateError("bad_config", `cannot read the schema ${path}: ${reasonOf(thrown)}`, thrown);
  }
  return parseProtoSchema(Buffer.from(bytes).toString(), path);
}
