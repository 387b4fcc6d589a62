// What is said of a state directory that another release has written. Every file begins with a mark, its format and a CRC in places that no
// format moves, so that this can always be told from damage; nothing has been changed where it is thrown.
import { HiddenstateError } from "../base/errors.ts";

/** `known` is what this build reads and writes. */
export function foreignFormat(what: string, found: unknown, known: number): HiddenstateError {
  const isNewer = typeof found === "number" && found > known;
  const advice = isNewer
    ? "a newer release has written it: start that one on it"
    : "an older release has written it, and this one does not read it any more: start that one on it";
  const reason = `it has format ${String(found)}, this version reads ${known}; ${advice}, or give this one another state directory`;
  return new HiddenstateError("foreign_state", `cannot read the ${what}: ${reason}`);
}
