// Charts over time on uPlot, in the page's colours, as wide as the place they are in.

const charts = new Set();
const dark = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function axis(more) {
  return {
    stroke: colour("muted"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...more,
  };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

function timeText(seconds, step) {
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
  const fraction = digits === 0 ? "" : (seconds % 1).toFixed(3).slice(1, 2 + digits);
  return `${clock.format(new Date(seconds * 1000))}${fraction}`;
}

/**
 * A chart of `series`, each {label, colour, width, dash, points, value}, with `bands` as uPlot has them, in `height` pixels. `label`
 * says for screen readers what it shows. `show` takes columns: seconds, then one a series.
 */
export class Chart {
  #options;
  #plot;
  #columns;
  #observer;
  #place = document.createElement("div");

  constructor(options) {
    this.#options = options;
    this.root = document.createElement("figure");
    this.root.className = "chart";
    this.root.setAttribute("aria-label", options.label);
    this.root.append(this.#place);
    this.#columns = [[], ...options.series.map(() => [])];
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(this.#place);
    charts.add(this);
  }

  get #width() {
    return Math.floor(this.#place.clientWidth);
  }

  #resize() {
    if (this.#width === 0) return;
    if (this.#plot === undefined) this.draw();
    else this.#plot.setSize({ width: this.#width, height: this.#options.height });
  }

  /** From nothing, as when the colours have changed. */
  draw() {
    this.#plot?.destroy();
    const { series, bands = [], height, range, unit = (text) => text } = this.#options;
    const lines = series.map(({ label, colour: name, width = 1.5, dash, points, value, fill }) => ({
      label,
      stroke: name === undefined ? undefined : colour(name),
      fill: fill === undefined ? undefined : colour(fill),
      width,
      dash,
      points: points ?? { show: false },
      value: value ?? ((_, number) => (number === null || number === undefined ? "–" : unit(number))),
    }));
    const options = {
      width: this.#width,
      height,
      padding: [8, 8, 0, 0],
      series: [
        { label: "Time", value: (_, seconds) => (seconds === null ? "–" : clock.format(new Date(seconds * 1000))) },
        ...lines,
      ],
      bands: bands.map(({ series: pair, fill }) => ({ series: pair, fill: colour(fill) })),
      scales: { x: { time: true }, y: range === undefined ? {} : { range } },
      axes: [
        axis({ size: 34, space: 90, values: (_, ticks, index, space, step) => ticks.map((seconds) => timeText(seconds, step)) }),
        axis({ size: 64, values: (_, ticks) => ticks.map((number) => unit(number)) }),
      ],
      cursor: { drag: { x: false, y: false } },
      legend: { live: true },
    };
    this.#plot = new globalThis.uPlot(options, this.#columns, this.#place);
  }

  show(columns) {
    this.#columns = columns;
    this.root.toggleAttribute("data-empty", columns[0].length < 2);
    this.#plot?.setData(columns);
  }

  close() {
    charts.delete(this);
    this.#observer.disconnect();
    this.#plot?.destroy();
  }
}

dark.addEventListener("change", () => {
  for (const chart of charts) chart.draw();
});
