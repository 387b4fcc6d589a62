// Numbers as devices write them: a number, a text of one, with a decimal comma where that is allowed, on and off; and the many ways of
// saying that there is none.

const DECIMAL_DOT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const DECIMAL_COMMA = /^[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?$/;
const MISSING: ReadonlySet<string> = new Set(["", "nan", "null", "none", "na", "n/a", "unknown", "unavailable"]);
const SWITCHES: ReadonlyMap<string, number> = new Map([
  ["on", 1],
  ["true", 1],
  ["off", 0],
  ["false", 0],
]);

/** NaN: it is missing. Undefined: it is no number at all. */
export function parseFieldNumber(value: unknown, decimalComma: boolean): number | undefined {
  if (typeof value === "number") return value;
  if (value === null || value === undefined) return Number.NaN;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return Number(value);
  return typeof value === "string" ? ofText(value.trim(), decimalComma) : undefined;
}

function ofText(text: string, decimalComma: boolean): number | undefined {
  if ((decimalComma ? DECIMAL_COMMA : DECIMAL_DOT).test(text)) return Number(text.replace(",", "."));
  const word = text.toLowerCase();
  return MISSING.has(word) ? Number.NaN : SWITCHES.get(word);
}

/** Whether only the decimal comma keeps a text from being a number. */
export function hasDecimalComma(value: unknown): boolean {
  return typeof value === "string" && value.includes(",") && DECIMAL_COMMA.test(value.trim());
}
