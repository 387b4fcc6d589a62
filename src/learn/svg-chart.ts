// Line charts as self-contained SVG, panels from top to bottom. It knows numbers, names and tones, not what they mean. Each picture brings
// its own ground and follows the reader's light or dark scheme, so that it can be read on any page.

/** `truth`: what was measured; `model` and `rule`: what was said about it. */
export type Tone = "truth" | "model" | "rule";

export interface ChartLine {
  readonly name: string;
  readonly tone: Tone;
  readonly shape: "line" | "dots";
  /** A point at x, x + 1, ...; NaN leaves a gap. */
  readonly x: number;
  readonly values: readonly number[];
}

export interface ChartPanel {
  readonly title: string;
  readonly xName: string;
  readonly lines: readonly ChartLine[];
  /** Height of the plot itself. */
  readonly height: number;
  /** A place on the x axis to point out. */
  readonly mark?: { readonly x: number; readonly name: string };
  /** Where values span decades. All must be above 0. */
  readonly logarithmic?: boolean;
}

const WIDTH = 760;
const LEFT = 64;
const RIGHT = 20;
const TITLE_HEIGHT = 58;
const AXIS_HEIGHT = 46;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;

interface Palette {
  readonly ground: string;
  readonly edge: string;
  readonly grid: string;
  readonly quiet: string;
  readonly text: string;
  readonly tones: Readonly<Record<Tone, string>>;
}

const light: Palette = {
  ground: "#ffffff",
  edge: "#d1d9e0",
  grid: "#e7ebef",
  quiet: "#59636e",
  text: "#1f2328",
  tones: { truth: "#6e7781", model: "#0969da", rule: "#bc4c00" },
};

const dark: Palette = {
  ground: "#0d1117",
  edge: "#3d444d",
  grid: "#21262d",
  quiet: "#9198a1",
  text: "#f0f6fc",
  tones: { truth: "#a9b1ba", model: "#4493f8", rule: "#db6d28" },
};

/** Every colour as a plain rule: viewers of SVG that are not browsers know no variables. */
function colours({ ground, edge, grid, quiet, text, tones }: Palette): string {
  const toned = Object.entries(tones).map(
    ([tone, colour]) => `.line.${tone} { stroke: ${colour} } .dots.${tone} { fill: ${colour} }`,
  );
  return [
    `.ground { fill: ${ground}; stroke: ${edge} }`,
    `.grid { stroke: ${grid} } .mark { stroke: ${quiet} }`,
    `text { fill: ${quiet} } text.title, text.name { fill: ${text} }`,
    ...toned,
  ].join("\n");
}

const STYLE = `
text { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; font-size: 12px }
text.title { font-size: 14px; font-weight: 600 }
.mark { stroke-dasharray: 4 4 }
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round; stroke-linecap: round }
${colours(light)}
@media (prefers-color-scheme: dark) {
${colours(dark)}
}
`;

interface Scale {
  readonly place: (value: number) => number;
  readonly ticks: readonly number[];
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** 1, 2 or 5 times a power of ten, for about `count` steps over `span`. */
function niceStep(span: number, count: number): number {
  const power = 10 ** Math.floor(Math.log10(span / count));
  const factor = span / count / power;
  return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

function linearTicks(low: number, high: number, count: number): number[] {
  const step = niceStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

function logarithmicTicks(low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of [1, 2, 5]) {
      const tick = factor * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

/** As many digits as tell ticks apart. */
function tickText(value: number, ticks: readonly number[]): string {
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) : Math.abs(value) || 1;
  const size = Math.max(...ticks.map(Math.abs));
  if (size >= 1e6 || size < 1e-3) return value === 0 ? "0" : value.toExponential(1);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function rangeOf(lines: readonly ChartLine[]): { low: number; high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { values } of lines) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return { low: 0, high: 1 };
  return low < high ? { low, high } : { low: low - 1, high: high + 1 };
}

function verticalScale({ lines, height, logarithmic }: ChartPanel, top: number): Scale {
  const { low, high } = rangeOf(lines);
  const by = logarithmic === true ? Math.log10 : (value: number) => value;
  const margin = 0.05 * (by(high) - by(low));
  const [from, to] = [by(low) - margin, by(high) + margin];
  const ticks = logarithmic === true ? logarithmicTicks(10 ** from, 10 ** to) : linearTicks(from, to, 4);
  return { place: (value) => top + height - ((by(value) - from) / (to - from)) * height, ticks };
}

function horizontalScale(lines: readonly ChartLine[]): Scale {
  const from = Math.min(...lines.map(({ x }) => x));
  const to = Math.max(...lines.map(({ x, values }) => x + values.length - 1), from + 1);
  const ticks = linearTicks(from, to, 8).filter((tick) => Number.isInteger(tick));
  return { place: (value) => LEFT + ((value - from) / (to - from)) * PLOT_WIDTH, ticks };
}

function drawLine({ tone, shape, x, values }: ChartLine, across: Scale, up: Scale): string {
  const points = values.map((value, index) =>
    Number.isFinite(value) ? `${fixed(across.place(x + index))},${fixed(up.place(value))}` : "",
  );
  if (shape === "dots") {
    const dots = points
      .filter((point) => point !== "")
      .map((point) => `<circle cx="${point.split(",")[0]!}" cy="${point.split(",")[1]!}" r="2"/>`);
    return `<g class="dots ${tone}">${dots.join("")}</g>`;
  }
  const runs = points
    .join(" ")
    .split(/ {2,}/)
    .filter((run) => run.trim() !== "");
  return runs.map((run) => `<polyline class="line ${tone}" points="${run.trim()}"/>`).join("\n");
}

function drawLegend(lines: readonly ChartLine[], top: number): string {
  let x = LEFT;
  return lines
    .map(({ name, tone, shape }) => {
      const at = x;
      x += 46 + name.length * 6.6;
      const sample =
        shape === "dots"
          ? `<g class="dots ${tone}"><circle cx="${fixed(at + 9)}" cy="${top}" r="2.5"/></g>`
          : `<polyline class="line ${tone}" points="${fixed(at)},${top} ${fixed(at + 18)},${top}"/>`;
      return `${sample}<text class="name" x="${fixed(at + 24)}" y="${top + 4}">${escape(name)}</text>`;
    })
    .join("\n");
}

function drawPanel(panel: ChartPanel, top: number): string {
  const plotTop = top + TITLE_HEIGHT;
  const bottom = plotTop + panel.height;
  const up = verticalScale(panel, plotTop);
  const across = horizontalScale(panel.lines);
  const rows = up.ticks.map((tick) => {
    const y = fixed(up.place(tick));
    const text = `<text x="${LEFT - 8}" y="${fixed(up.place(tick) + 4)}" text-anchor="end">${tickText(tick, up.ticks)}</text>`;
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>${text}`;
  });
  const columns = across.ticks.map(
    (tick) =>
      `<text x="${fixed(across.place(tick))}" y="${bottom + 18}" text-anchor="middle">${tickText(tick, across.ticks)}</text>`,
  );
  const parts = [
    `<text class="title" x="${LEFT}" y="${top + 24}">${escape(panel.title)}</text>`,
    drawLegend(panel.lines, top + 42),
    ...rows,
    ...columns,
    `<text x="${WIDTH - RIGHT}" y="${bottom + 36}" text-anchor="end">${escape(panel.xName)}</text>`,
  ];
  if (panel.mark !== undefined) {
    const x = across.place(panel.mark.x);
    const isRight = x > LEFT + PLOT_WIDTH / 2;
    parts.push(
      `<line class="mark" x1="${fixed(x)}" x2="${fixed(x)}" y1="${plotTop}" y2="${bottom}"/>`,
      `<text x="${fixed(isRight ? x - 6 : x + 6)}" y="${plotTop + 12}" text-anchor="${isRight ? "end" : "start"}">${escape(panel.mark.name)}</text>`,
    );
  }
  return [...parts, ...panel.lines.map((line) => drawLine(line, across, up))].join("\n");
}

/** The SVG's text; `label` says in words what it shows. The same panels give the same text. */
export function drawChart(label: string, panels: readonly ChartPanel[]): string {
  let height = 8;
  const drawn = panels.map((panel) => {
    const top = height;
    height += TITLE_HEIGHT + panel.height + AXIS_HEIGHT;
    return drawPanel(panel, top);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escape(label)}</title>
<style>${STYLE}</style>
<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
${drawn.join("\n")}
</svg>
`;
}
