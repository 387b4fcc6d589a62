// Where a program lies, as a shell would find it, and in a few folders besides.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The first that can be run of `names`, in the folders of PATH and then in `more`; undefined where there is none. */
export function findProgram(names: readonly string[], more: readonly string[]): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...more];
  return folders
    .filter((folder) => folder !== "")
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
