// Where a value stands in a decoded message: `$.AM2301.Temperature`, `$["a.b"].c`, `$.temp[0]`. Without the `$` the text may also be a
// field's whole name: `DS18B20-1.Temperature` and `Bearing/Vibration RMS` need no quotes.
import { HiddenstateError } from "../base/errors.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface FieldPath {
  readonly text: string;
  /** Looked for as a name before the levels are followed; undefined where the text begins with `$`. */
  readonly whole: string | undefined;
  readonly levels: readonly string[];
}

/** A level behind a dot, or in brackets: a number, or a name in quotes. */
const LEVEL = /\.([^.[\]]+)|\[(\d+|"(?:[^"\\]|\\.)*")\]/y;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** A backslash before any character stands for that character. */
function unquote(level: string): string {
  return level.startsWith('"') ? level.slice(1, -1).replaceAll(/\\(.)/g, "$1") : level;
}

/** Throws `bad_argument` for a path that cannot be followed. */
export function parseFieldPath(text: string): FieldPath {
  const isRooted = text.startsWith("$");
  const rest = isRooted ? text.slice(1) : `.${text}`;
  const levels: string[] = [];
  LEVEL.lastIndex = 0;
  for (let at = 0; at < rest.length; at = LEVEL.lastIndex) {
    const match = LEVEL.exec(rest);
    // A name that is no path is still a name.
    if (match === null) {
      if (!isRooted && text !== "") return { text, whole: text, levels: [text] };
      const example = '$.AM2301.Temperature, $["a.b"].c or $.temp[0]';
      throw new HiddenstateError("bad_argument", `cannot use the path "${text}": it is written as in ${example}`);
    }
    levels.push(match[1] ?? unquote(match[2]!));
  }
  return { text, whole: isRooted ? undefined : text, levels };
}

/** The value below the first `from` levels; undefined where there is none. Only own fields count. */
export function readFieldPath(path: FieldPath, document: unknown, from = 0): unknown {
  if (from === 0 && path.whole !== undefined && isFields(document) && Object.hasOwn(document, path.whole)) {
    return document[path.whole];
  }
  let value = document;
  for (let i = from; i < path.levels.length; i++) {
    const level = path.levels[i]!;
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, level)) return undefined;
    value = (value as Fields)[level];
  }
  return value;
}
