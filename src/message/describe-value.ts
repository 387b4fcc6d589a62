// Values of a decoded message as an error's text shows them.

export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return value === null ? "null" : "an object";
  if (typeof value === "string") return `the text ${JSON.stringify(value.slice(0, 40))}`;
  return typeof value === "number" || typeof value === "boolean" ? `the ${typeof value} ${value}` : `a ${typeof value}`;
}
