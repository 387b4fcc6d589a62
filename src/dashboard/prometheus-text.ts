// Everything counted, in Prometheus' text exposition format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/.
import type { Histogram, Metrics } from "../base/metrics.ts";
import { bucketBoundsMs } from "../base/metrics.ts";
import { counterTexts, gaugeTexts, histogramTexts } from "./metric-texts.ts";
import type { MetricText } from "./metric-texts.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const PREFIX = "hiddenstate_";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric of another source than `Metrics`. */
export interface Family {
  /** With its prefix. */
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly Sample[];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

function headOf(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${type}`];
}

function familyLines({ name, type, help, samples }: Family): string[] {
  return [...headOf(name, type, help), ...samples.map(({ labels, value }) => `${name}${labelText(labels)} ${numberText(value)}`)];
}

function textOf(texts: Readonly<Record<string, string | MetricText>>, name: string): MetricText {
  const text = Object.hasOwn(texts, name) ? texts[name]! : `The runtime's ${name.replaceAll("_", " ")}.`;
  return typeof text === "string" ? { help: text } : text;
}

/** Every counter that is known or was counted, the known ones from the start; those split by reason as far as there were any. */
function counterFamilies(metrics: Metrics): Family[] {
  const samples = new Map<string, Sample[]>(Object.keys(counterTexts).map((name) => [name, []]));
  for (const { name, reason, metric } of metrics.counters()) {
    const labels = reason === undefined ? {} : { reason };
    samples.set(name, [...(samples.get(name) ?? []), { labels, value: metric.value }]);
  }
  const split = /, by reason\.$/;
  return Array.from(samples, ([name, found]) => {
    const { help } = textOf(counterTexts, name);
    const isNone = found.length === 0 && !split.test(help);
    return {
      name: `${PREFIX}${name}_total`,
      type: "counter" as const,
      help,
      samples: isNone ? [{ labels: {}, value: 0 }] : found,
    };
  });
}

function gaugeFamilies(metrics: Metrics): Family[] {
  const known = new Map<string, { readonly value: number; readonly highest: number }>(
    Object.keys(gaugeTexts).map((name) => [name, { value: 0, highest: 0 }]),
  );
  for (const [name, gauge] of metrics.gauges()) known.set(name, gauge);
  return Array.from(known, ([own, { value, highest }]) => {
    const { help, name = own, scale = 1 } = textOf(gaugeTexts, own);
    const one = (family: string, text: string, number: number): Family => ({
      name: `${PREFIX}${family}`,
      type: "gauge",
      help: text,
      samples: [{ labels: {}, value: number * scale }],
    });
    const isSwitch = help.startsWith("1 while ");
    return isSwitch
      ? [one(name, help, value)]
      : [one(name, help, value), one(`${name}_highest`, `The highest since the start of what ${PREFIX}${name} shows.`, highest)];
  }).flat();
}

function histogramLines(own: string, histogram: Histogram | undefined): string[] {
  const name = `${PREFIX}${own}_seconds`;
  const lines = headOf(name, "histogram", textOf(histogramTexts, own).help);
  let count = 0;
  for (const [i, bound] of bucketBoundsMs.entries()) {
    count += histogram?.counts[i] ?? 0;
    lines.push(`${name}_bucket{le="${numberText(bound / 1000)}"} ${count}`);
  }
  lines.push(`${name}_bucket{le="+Inf"} ${histogram?.count ?? 0}`);
  lines.push(`${name}_sum ${numberText((histogram?.sumMs ?? 0) / 1000)}`, `${name}_count ${histogram?.count ?? 0}`);
  return lines;
}

/** The page that a Prometheus server scrapes: `metrics`, and `more` families. */
export function prometheusText(metrics: Metrics, more: readonly Family[]): string {
  const histograms = new Map<string, Histogram | undefined>(Object.keys(histogramTexts).map((name) => [name, undefined]));
  for (const [name, histogram] of metrics.histograms()) histograms.set(name, histogram);
  const lines = [
    ...[...more, ...counterFamilies(metrics), ...gaugeFamilies(metrics)].flatMap(familyLines),
    ...Array.from(histograms, ([name, histogram]) => histogramLines(name, histogram)).flat(),
  ];
  return `${lines.join("\n")}\n`;
}
