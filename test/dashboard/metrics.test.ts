import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { bucketBoundsMs, Histogram, Metrics, quantileOfBuckets } from "../../src/base/metrics.ts";
import { counterTexts, gaugeTexts, histogramTexts } from "../../src/dashboard/metric-texts.ts";
import { processFamilies } from "../../src/dashboard/process-families.ts";
import { prometheusText } from "../../src/dashboard/prometheus-text.ts";
import { repository } from "../support/cli.ts";

const status = {
  node: "box",
  upSeconds: 12.5,
  streams: 3,
  groups: [
    {
      name: 'a"\\b',
      version: "0123456789abcdef01",
      configured: "0123456789abcdef01",
      engine: "native",
      kernel: "plain",
      engineReason: "x",
      streams: 3,
    },
  ],
  releasedPosition: 9,
  outbox: { messages: 0, bytes: 0 },
  broker: { intake: true, sink: true },
  metrics: {},
};

function page(metrics = new Metrics()): string {
  return prometheusText(metrics, processFamilies(status, true, "1.2.3", 5e9));
}

interface Parsed {
  readonly types: ReadonlyMap<string, string>;
  readonly values: ReadonlyMap<string, number>;
}

/** Reads the exposition format by its own rules; throws on a line that is none. */
function parse(text: string): Parsed {
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const values = new Map<string, number>();
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([a-z_][a-z0-9_]*) \S.*$/.exec(line);
    const type = /^# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram)$/.exec(line);
    const sample =
      /^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,(?!\})|(?=\})))+\})? (NaN|[+-]Inf|-?\d[\d.e+-]*)$/.exec(line);
    if (help !== null) helps.add(help[1]!);
    else if (type !== null) {
      if (types.has(type[1]!) || !helps.has(type[1]!)) throw new Error(`a family twice, or without help: ${line}`);
      types.set(type[1]!, type[2]!);
    } else if (sample !== null) {
      const family = types.has(sample[1]!) ? sample[1]! : sample[1]!.replace(/_(bucket|sum|count)$/, "");
      if (!types.has(family)) throw new Error(`a sample before its family: ${line}`);
      if (values.has(sample[1]! + (sample[2] ?? ""))) throw new Error(`a series twice: ${line}`);
      values.set(sample[1]! + (sample[2] ?? ""), Number(sample[3]!.replace("Inf", "Infinity")));
    } else throw new Error(`not of the format: ${line}`);
  }
  return { types, values };
}

t.test("everything counted is exposed with help, type and unit, and what was never counted is 0", async (t) => {
  const metrics = new Metrics();
  metrics.counter("readings_accepted").add(5);
  metrics.counter("readings_refused", "range").add(2);
  metrics.counter("readings_refused", "rate").add();
  metrics.gauge("replay_ms_expected").set(1500);
  metrics.gauge("replay_ms_expected").set(250);
  metrics.gauge("intake_up").set(1);
  metrics.counter("something_new").add(7);
  for (const ms of [0.1, 0.3, 0.3, 90, 1e9]) metrics.histogram("message_latency").observe(ms);
  const { types, values } = parse(page(metrics));
  const expected: Record<string, number> = {
    hiddenstate_readings_accepted_total: 5,
    'hiddenstate_readings_refused_total{reason="range"}': 2,
    'hiddenstate_readings_refused_total{reason="rate"}': 1,
    hiddenstate_session_lost_total: 0,
    hiddenstate_replay_expected_seconds: 0.25,
    hiddenstate_replay_expected_seconds_highest: 1.5,
    hiddenstate_intake_up: 1,
    hiddenstate_disk_full: 0,
    hiddenstate_something_new_total: 7,
    'hiddenstate_message_latency_seconds_bucket{le="0.00025"}': 1,
    'hiddenstate_message_latency_seconds_bucket{le="0.0005"}': 3,
    'hiddenstate_message_latency_seconds_bucket{le="0.064"}': 3,
    'hiddenstate_message_latency_seconds_bucket{le="0.128"}': 4,
    'hiddenstate_message_latency_seconds_bucket{le="65.536"}': 4,
    'hiddenstate_message_latency_seconds_bucket{le="+Inf"}': 5,
    hiddenstate_message_latency_seconds_count: 5,
    hiddenstate_journal_commit_seconds_count: 0,
    hiddenstate_up_seconds: 12.5,
    hiddenstate_ready: 1,
    'hiddenstate_group_streams{group="a\\"\\\\b"}': 3,
    'hiddenstate_group_info{group="a\\"\\\\b",engine="native",kernel="plain",model="0123456789abcdef"}': 1,
  };
  for (const [series, value] of Object.entries(expected)) t.equal(values.get(series), value, series);
  t.notOk(values.has("hiddenstate_intake_up_highest"), "a switch has no high-water mark");
  t.equal(types.get("hiddenstate_readings_refused_total"), "counter");
  t.equal(types.get("hiddenstate_message_latency_seconds"), "histogram");
});

t.test("quantiles are interpolated within their bucket, and what is beyond the last bound is the last bound", async (t) => {
  const histogram = new Histogram();
  t.equal(histogram.quantileMs(0.5), 0);
  for (let i = 0; i < 100; i++) histogram.observe(i < 90 ? 1.5 : 40);
  t.equal(histogram.quantileMs(0.45), 1.5, "half of the bucket from 1 to 2");
  t.equal(histogram.quantileMs(0.95), 48, "half of the bucket from 32 to 64");
  histogram.observe(Infinity);
  t.equal(histogram.quantileMs(1), bucketBoundsMs.at(-1));
  t.equal(histogram.counts[0], 0);
  histogram.observe(0);
  t.equal(histogram.counts[0], 1);
  t.equal(quantileOfBuckets([2, 2], 0.75), 0.375);
});

t.test("every name that the sources count by is described, and nothing else is", async (t) => {
  const found = { counter: new Set<string>(), gauge: new Set<string>(), histogram: new Set<string>() };
  for (const name of readdirSync(join(repository, "src"), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const text = readFileSync(join(repository, "src", name), "utf8");
    for (const [, kind, metric] of text.matchAll(/\.(counter|gauge|histogram)\(\s*"([a-z0-9_]+)"/g))
      found[kind as keyof typeof found].add(metric!);
  }
  t.ok(found.counter.size > 30);
  t.strictSame([...found.counter].toSorted(), Object.keys(counterTexts).toSorted());
  t.strictSame([...found.gauge].toSorted(), Object.keys(gaugeTexts).toSorted());
  t.strictSame([...found.histogram].toSorted(), Object.keys(histogramTexts).toSorted());
});

t.test("the example alerts and the example dashboard name nothing that is not exposed", async (t) => {
  const { types } = parse(page());
  for (const file of ["deploy/prometheus/alerts.yml", "deploy/grafana/hiddenstate.json"]) {
    const text = readFileSync(join(repository, file), "utf8");
    const names = new Set([...text.matchAll(/\b((?:hiddenstate|process)_[a-z0-9_]+)\b/g)].map(([, name]) => name!));
    t.ok(names.size >= 10, file);
    for (const name of names) t.ok(types.has(name.replace(/_bucket$/, "")), `${file}: ${name}`);
  }
  const { panels } = JSON.parse(readFileSync(join(repository, "deploy/grafana/hiddenstate.json"), "utf8")) as {
    panels: { gridPos: { x: number; y: number; w: number; h: number }; targets: unknown[] }[];
  };
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  t.equal(new Set(cells).size, cells.length, "no panel lies upon another");
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;
const skip = promtool ? false : "promtool is missing; install it with: apt-get install prometheus";

t.test("promtool finds nothing wrong with the metrics and the alert rules", { skip }, async (t) => {
  const metrics = spawnSync("promtool", ["check", "metrics"], { input: page(), encoding: "utf8" });
  t.match(metrics, { status: 0, stderr: "" });
  const rules = spawnSync("promtool", ["check", "rules", join(repository, "deploy/prometheus/alerts.yml")], { encoding: "utf8" });
  t.match(rules, { status: 0, stdout: /SUCCESS: 11 rules found/ });
  const config = spawnSync("promtool", ["check", "config", join(repository, "deploy/prometheus/prometheus.yml")], {
    encoding: "utf8",
  });
  t.match(config, { status: 0, stdout: /SUCCESS/ });
});
