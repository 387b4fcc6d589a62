// Numbers and times in words, short enough for a phone.

const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/** Two units at most: `3 d 4 h`, `12 s`. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const first = UNITS.findIndex(([, length]) => seconds >= length);
  let rest = Math.round(seconds);
  const parts = [];
  for (const [unit, length] of UNITS.slice(first, first + 2)) {
    const units = Math.floor(rest / length);
    rest -= units * length;
    if (units > 0) parts.push(`${units} ${unit}`);
  }
  return parts.join(" ") || "0 s";
}

export function milliseconds(ms) {
  if (ms === 0) return "0 ms";
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 10) return `${ms.toFixed(0)} ms`;
  return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(number) {
  return whole.format(number);
}

/** With three digits that count. */
export function rate(perSecond) {
  return perSecond >= 100 ? whole.format(perSecond) : String(Number(perSecond.toPrecision(perSecond >= 10 ? 3 : 2)));
}

export function value(number, unit = "") {
  if (number === null || number === undefined) return "–";
  const size = Math.abs(number);
  const digits = size < 1000 ? 4 : 7;
  const text = size !== 0 && (size >= 1e7 || size < 1e-3) ? number.toExponential(2) : String(Number(number.toPrecision(digits)));
  return unit === "" ? text : `${text} ${unit}`;
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  let size = number;
  while (size >= 1024 && power < units.length - 1) {
    size /= 1024;
    power++;
  }
  return `${size >= 100 || power === 0 ? size.toFixed(0) : size.toFixed(1)} ${units[power]}`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

/** The time of day, with the date where it is not today. */
export function moment(ms) {
  const date = new Date(ms);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

/** How long ago, by the box's own clock. */
export function ago(ms, nowMs) {
  if (ms === 0) return "never";
  const seconds = Math.max(0, (nowMs - ms) / 1000);
  return seconds < 2 ? "just now" : `${duration(seconds)} ago`;
}
