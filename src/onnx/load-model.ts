// Reads a model file from the disk. It looks at the size first, so that a path to something else entirely is refused, not read.
import { readFully } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf, systemCodeOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Model } from "../model/model.ts";
import { decodeModel } from "./decode-model.ts";

async function readModelFile(disk: Disk, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, "read");
  try {
    const size = await file.size();
    if (size > limits.modelBytesMax) {
      throw new HiddenstateError("bad_model", `cannot use model ${path}: it has ${size} bytes, over ${limits.modelBytesMax}`);
    }
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}

/** The model in a file. Throws `bad_model` where the file is absent or cannot be used, `disk_failed` where it cannot be read. */
export async function loadModel(disk: Disk, path: string): Promise<Model> {
  let bytes: Uint8Array;
  try {
    bytes = await readModelFile(disk, path);
  } catch (thrown) {
    if (thrown instanceof HiddenstateError) throw thrown;
    if (systemCodeOf(thrown) === "ENOENT") {
      throw new HiddenstateError("bad_model", `cannot use model ${path}: there is no such file`, thrown);
    }
    throw new HiddenstateError("disk_failed", `cannot read model ${path}: ${reasonOf(thrown)}`, thrown);
  }
  return decodeModel(bytes, path);
}
