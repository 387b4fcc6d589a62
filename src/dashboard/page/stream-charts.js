// The charts of one stream: one that holds what was measured against what was predicted, and where readings are scored the score.
import { Chart } from "./chart.js";
import { columnOf, forecastColumns } from "./stream-points.js";
import { value } from "./words.js";

const DOTS = { show: true, size: 4 };

function forecastChart({ name, unit, horizon, deviation }, featureName) {
  const ahead = horizon === 1 ? "one reading before" : `${horizon} readings before`;
  const series = [
    { label: featureName ?? name, colour: "first", width: 2, points: { ...DOTS } },
    { label: `predicted ${ahead}`, colour: "second", width: 2, dash: [6, 4] },
    { label: "9 of 10 expected above", width: 0 },
    { label: "9 of 10 expected below", width: 0 },
  ];
  if (deviation < 0) series.length = 2;
  return new Chart({
    label: `${featureName ?? name} as measured and as predicted`,
    height: 280,
    unit: (number) => value(number, unit),
    series,
    bands: deviation < 0 ? [] : [{ series: [4, 3], fill: "second-soft" }],
  });
}

/** Charts of a forecast's output `index`, or of a classifier's classes. `show` draws points. */
export class StreamCharts {
  #about;
  #index;
  #main;
  #score;

  constructor(about, index) {
    this.#about = about;
    this.#index = index;
    const output = about.outputs[index];
    if (about.task === "forecast") this.#main = forecastChart(output, about.features[output.feature]?.name);
    else {
      this.#main = new Chart({
        label: "How likely each class is",
        height: 280,
        range: [0, 1],
        series: about.outputs.map(({ name }, i) => ({ label: name, colour: ["first", "second", "third"][i % 3], width: 2 })),
      });
    }
    if (about.scored) {
      this.#score = new Chart({
        label: "How unusual each reading was, from 0 to 1, and whether an alarm was open",
        height: 150,
        range: [0, 1],
        series: [
          { label: "Score", colour: "first", width: 2 },
          { label: "Alarm open", colour: "bad", fill: "bad-soft", width: 0, value: (_, open) => (open ? "yes" : "no") },
        ],
      });
    }
  }

  get main() {
    return this.#main.root;
  }

  /** Undefined where readings are not scored. */
  get score() {
    return this.#score?.root;
  }

  /** Draws, and returns the columns of a forecast. */
  show(points) {
    const seconds = points.map(({ time }) => time / 1000);
    this.#score?.show([
      seconds,
      ...columnOf(points, ({ score }) => score).slice(1),
      points.map(({ alarm }) => (alarm ? 1 : null)),
    ]);
    if (this.#about.task === "classify") {
      this.#main.show([seconds, ...this.#about.outputs.map((_, i) => points.map(({ outputs }) => outputs[i]))]);
      return undefined;
    }
    const output = this.#about.outputs[this.#index];
    const columns = forecastColumns(points, output, this.#index);
    this.#main.show(output.deviation < 0 ? columns.slice(0, 3) : columns);
    return columns;
  }

  close() {
    this.#main.close();
    this.#score?.close();
  }
}
