// `hiddenstate bench [config.yaml]`: what this box can carry, measured again and again: the engines at several batch sizes, writes and syncs
// of the disk, and readings through the whole runtime. What doctor judges in seconds by the same means, this measures for longer.
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { diskError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseConfig } from "../runtime/config.ts";
import type { Config } from "../runtime/config-schema.ts";
import { EngineChoices } from "../runtime/engine-choices.ts";
import { loadGroups } from "../runtime/groups.ts";
import { benchEngines } from "./bench-engines.ts";
import type { EngineFigure } from "./bench-engines.ts";
import { benchWay } from "./bench-way.ts";
import type { WayFigures } from "./bench-way.ts";
import { existing, measureSyncs } from "./doctor-disk.ts";
import { numberIn, numbers } from "./option-values.ts";
import { shippedModelPath } from "./shipped-model.ts";
import { quantile, spreadOf } from "./spread.ts";
import type { Spread } from "./spread.ts";
import { withConfig } from "./with-config.ts";

interface BenchOptions {
  readonly batches: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly streams: number;
  readonly json?: true;
}

interface SyncFigure {
  readonly bytes: number;
  readonly msP50: Spread;
  readonly msP99: Spread;
}

export interface BenchReport {
  readonly node: string;
  readonly folder: string;
  readonly onCard: boolean;
  readonly rounds: number;
  readonly engines: readonly EngineFigure[];
  readonly syncs: readonly SyncFigure[];
  readonly way: WayFigures;
  readonly notes: readonly string[];
}

/** A write of few readings, and one of as many as wait for each other. */
const SYNC_BYTES = [4096, limits.lingerBytesMax];
const [clock, disk] = [systemClock, systemDisk];

/** What is measured without a config: the shipped model, on the disk that one stands on. */
function shippedConfig(): Config {
  const group = `{ name: bearing, topic: "b/{device}", codec: json, model: ${JSON.stringify(shippedModelPath)} }`;
  return parseConfig(`node: bench\nstate: .\nmqtt: { url: "mqtt://127.0.0.1" }\ngroups: [${group}]\n`, `${process.cwd()}/bench`);
}

async function benchSyncs(folder: string, rounds: number): Promise<SyncFigure[]> {
  const figures: SyncFigure[] = [];
  for (const bytes of SYNC_BYTES) {
    const times: number[][] = [];
    for (let round = 0; round < rounds; round++) times.push(await measureSyncs(disk, clock, folder, bytes));
    const of = (share: number): Spread => spreadOf(times.map((rising) => quantile(rising, share)));
    figures.push({ bytes, msP50: of(0.5), msP99: of(0.99) });
  }
  return figures;
}

/** Works in a new folder, which is gone afterwards, whatever ends it. */
async function inNewFolder<T>(beside: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(`${beside}/hiddenstate-bench-`).catch((thrown: unknown) => {
    throw diskError(`write in ${beside}`, thrown);
  });
  const interrupted = (): never => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    return await work(folder);
  } finally {
    process.removeListener("SIGINT", interrupted).removeListener("SIGTERM", interrupted);
    await rm(folder, { recursive: true, force: true });
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function bench(config: Config, options: BenchOptions): Promise<BenchReport> {
  const { batches, rounds, seconds, streams } = options;
  const groups = await loadGroups(config, disk);
  const choices = await EngineChoices.load(disk, config.state);
  const engines: EngineFigure[] = [];
  const notes: string[] = [];
  for (const group of groups) {
    say(`measuring the engines on the model of group ${group.config.name} ...`);
    const measured = await benchEngines(group, choices, clock, batches, rounds);
    engines.push(...measured.figures);
    notes.push(...measured.notes);
  }
  const folder = await existing(disk, config.state);
  return inNewFolder(folder, async (own) => {
    say(`measuring the disk in ${folder} ...`);
    const syncs = await benchSyncs(own, rounds);
    say(`measuring readings through the whole runtime, ${rounds} times ${2 * seconds} s ...`);
    const way = await benchWay({ config, groups, folder: `${own}/state`, streams, rounds, seconds, disk, clock });
    const onCard = await disk.isFlashCard(folder);
    return { node: process.version, folder, onCard, rounds, engines, syncs, way, notes };
  });
}

function spreadText({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}

function engineLines(engines: readonly EngineFigure[]): string[] {
  return engines.map(({ group, engine, kernel, batch, ns }) => {
    const perSecond = Math.round(1e9 / ns.median).toLocaleString("en-US");
    const together = batch === 1 ? "one stream" : `${batch} streams together`;
    return `  ${group}, ${engine} (${kernel}), ${together}: ${spreadText(ns, 0)} ns a reading, ${perSecond} steps/s`;
  });
}

/** For people: the median of the rounds, and the least and the most of them. */
export function benchLines({ node, folder, onCard, rounds, engines, syncs, way, notes }: BenchReport): string[] {
  const { streams, durability, readingsPerSecond, underWay, aloneMsP50, aloneMsP99 } = way;
  return [
    `Node ${node}; medians of ${rounds} rounds, with the least and the most of them`,
    "a step of the network, on one core:",
    ...engineLines(engines),
    `a write and a sync in ${folder}${onCard ? ", which is on an SD card" : ""}:`,
    ...syncs.map(({ bytes, msP50, msP99 }) => {
      return `  ${bytes / 1024} KiB: ${spreadText(msP50, 2)} ms, one in a hundred ${spreadText(msP99, 2)} ms`;
    }),
    `readings through the runtime, without a broker, ${streams} streams, durability ${durability}:`,
    `  ${spreadText(readingsPerSecond, 0)} readings/s, one a message, with ${underWay} under way`,
    `  one at a time: acked after ${spreadText(aloneMsP50, 2)} ms, one in a hundred after ${spreadText(aloneMsP99, 2)} ms`,
    ...notes.map((note) => `note: ${note}`),
  ];
}

export function benchCommand(): Command {
  const one = numberIn(1, 4096, true);
  return new Command("bench")
    .description(
      "measure what this box can carry: engines, disk, and readings through the whole runtime; doctor judges, this repeats",
    )
    .argument("[config]", "whose models, durability and disk; the shipped model on the disk of this folder where absent")
    .option("--batches <counts>", "streams that are stepped together, with commas between", numbers(one), [1, 8, 64, 512])
    .option("--rounds <count>", "how often each is measured", numberIn(1, 100, true), 5)
    .option("--seconds <count>", "how long each round of readings takes, twice", numberIn(0.1, 600, false), 2)
    .option("--streams <count>", "streams that the readings are of", numberIn(1, limits.streamsMax, true), 100)
    .option("--json", "print JSON, with every figure")
    .action(async (path: string | undefined, options: BenchOptions) => {
      const report =
        path === undefined
          ? await bench(shippedConfig(), options)
          : await withConfig(path, {}, (config) => bench(config, options));
      process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : `${benchLines(report).join("\n")}\n`);
      process.exit(0);
    });
}
