// Does it work, how much comes through, how long does it take, what steps it.
import { Chart } from "./chart.js";
import { element, section, table, tile, versionCode } from "./element.js";
import { bytes, count, duration, milliseconds, plural, rate } from "./words.js";

const DURABILITY = {
  strict: "A reading is acknowledged once it is on the disk for good: it survives a power cut.",
  relaxed:
    "A reading is acknowledged once it is written, and synced within a second: it survives a crash, not always a power cut.",
  volatile: "A reading is acknowledged at once: what was acknowledged can be lost in a crash.",
};

function brokerWords({ intakeUp, sinkUp }) {
  if (intakeUp && sinkUp) return ["connected", ""];
  if (intakeUp) return ["half", "bad"];
  return [sinkUp ? "half" : "away", "bad"];
}

function showTiles(tiles, { setting, standing }) {
  const { sample, latency, outbox, freeBytes, alarms, streams } = standing;
  const perSecond = sample?.readingsPerSecond ?? 0;
  tiles.readings.show(`${rate(perSecond)} /s`, `${count(standing.counts.readings_accepted ?? 0)} since the start`);
  tiles.streams.show(count(streams), `in ${plural(standing.groups.length, "group")}`);
  tiles.alarms.show(
    count(alarms),
    alarms === 0 ? "nothing unusual now" : alarms === 1 ? "stream behaves unusually now" : "streams behave unusually now",
    alarms === 0 ? "" : "warn",
  );
  if (latency.message.count === 0) tiles.wait.show("–", "no messages in the last minute");
  else
    tiles.wait.show(
      milliseconds(latency.message.msP99),
      `99 of 100 messages are safe by then; half by ${milliseconds(latency.message.msP50)}`,
    );
  const [broker, state] = brokerWords(standing);
  const waiting =
    outbox.messages === 0 ? "every prediction is confirmed" : `${plural(outbox.messages, "message")} not yet confirmed`;
  tiles.broker.show(broker, `${setting?.broker ?? ""}: ${waiting}`, state);
  const isFull = standing.counts.disk_full === 1;
  tiles.disk.show(
    freeBytes === null ? "unknown" : isFull ? "full" : bytes(freeBytes),
    isFull ? "readings wait for room" : "left where the state lies",
    isFull ? "bad" : "",
  );
}

function facts({ setting, standing }) {
  const rows = [
    ["Safety", setting === undefined ? "" : DURABILITY[setting.durability]],
    ["Running for", duration(standing.upSeconds)],
    ["Memory", bytes(standing.memoryBytes)],
    ["State directory", setting?.state ?? ""],
    ["Release", setting?.version ?? ""],
  ];
  return rows.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]);
}

const TIMES = [
  ["message", "A message, from its arrival until it is safe and may be acknowledged"],
  ["disk", "Of that, writing to the disk and syncing it"],
  ["broker", "A prediction, from sending it until the broker has confirmed it"],
];

function makeCharts() {
  const flow = new Chart({
    label: "Readings and confirmed predictions a second, over the last quarter of an hour",
    height: 220,
    unit: (number) => rate(number),
    range: (_, low, high) => [0, Math.max(1, high ?? 1) * 1.1],
    series: [
      { label: "Readings a second", colour: "first", fill: "first-soft" },
      { label: "Messages confirmed a second", colour: "second" },
    ],
  });
  const latency = new Chart({
    label: "How long a message takes, over the last quarter of an hour",
    height: 220,
    unit: milliseconds,
    range: (_, low, high) => [0, Math.max(1, high ?? 1) * 1.1],
    series: [
      { label: "Half within", colour: "first" },
      { label: "99 of 100 within", colour: "third" },
    ],
  });
  return { flow, latency };
}

export function openOverview(root, { known }) {
  const tiles = {
    readings: tile("Readings"),
    streams: tile("Streams"),
    alarms: tile("Open alarms"),
    wait: tile("Time until safe"),
    broker: tile("Broker"),
    disk: tile("Disk"),
  };
  const charts = makeCharts();
  const times = table(["What", "half within", "99 of 100 within"], { numeric: [1, 2] });
  const groups = table(["Group", "Streams", "Stepped by", "Why", "Model"], { numeric: [1] });
  const list = element("dl", { class: "facts" });
  root.append(
    element("h1", {}, "Overview"),
    element(
      "dl",
      { class: "tiles" },
      Object.values(tiles).map((one) => one.root),
    ),
    element(
      "div",
      { class: "pair" },
      section("What comes through", "", charts.flow.root),
      section("How long it takes", "", charts.latency.root),
    ),
    section("Where time goes", "In the last minute.", times.root),
    section("Groups", "Each group of the config steps its streams with one model.", groups.root),
    section("This runtime", "", list),
  );
  return {
    update({ samples, standing }, change) {
      if (change === "lines") return;
      if (change !== "standing" || samples.length > 0) {
        const seconds = samples.map(({ at }) => at / 1000);
        charts.flow.show([seconds, samples.map((one) => one.readingsPerSecond), samples.map((one) => one.confirmedPerSecond)]);
        charts.latency.show([seconds, samples.map((one) => one.latencyMsP50), samples.map((one) => one.latencyMsP99)]);
      }
      if (standing === undefined) return;
      showTiles(tiles, known);
      times.show(
        TIMES.map(([name, text]) => {
          const { count: number, msP50, msP99 } = standing.latency[name];
          return number === 0 ? [text, "–", "–"] : [text, milliseconds(msP50), milliseconds(msP99)];
        }),
      );
      groups.show(
        standing.groups.map(({ name, streams, engine, kernel, engineReason, version }) => [
          name,
          count(streams),
          `${engine} (${kernel})`,
          engineReason,
          versionCode(version),
        ]),
      );
      list.replaceChildren(...facts(known));
    },
    close() {
      for (const chart of Object.values(charts)) chart.close();
    },
  };
}
