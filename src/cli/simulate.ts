// `hiddenstate simulate`: the options of a simulation, read and checked.
import { Command, InvalidArgumentError, Option } from "commander";
import { limits } from "../base/limits.ts";
import { codecNames } from "../message/codecs.ts";
import { faultKinds } from "../../firmware-sim/faults.ts";
import { quirks } from "../../firmware-sim/fleet.ts";
import { signalKinds } from "../../firmware-sim/signals.ts";
import { numberIn, words } from "./option-values.ts";
import { addFormatOptions } from "./read-table.ts";
import { runSimulation } from "./run-simulation.ts";
import type { SimulationOptions } from "./run-simulation.ts";

function listOf<T extends string>(allowed: readonly T[]): (text: string) => readonly T[] {
  return (text) => {
    if (text === "none") return [];
    if (text === "all") return allowed;
    return text.split(",").map((word) => {
      const found = allowed.find((one) => one === word.trim());
      if (found === undefined) throw new InvalidArgumentError(`Known are ${allowed.join(", ")}, all and none.`);
      return found;
    });
  };
}

function parseSpeed(text: string): number {
  if (text === "max") return Infinity;
  const speed = Number(/^(\d+(?:\.\d+)?)x?$/.exec(text)?.[1] ?? Number.NaN);
  if (!(speed > 0)) throw new InvalidArgumentError("Write 1x, 1000x or max.");
  return speed;
}

/** The `simulate` command, to be added to a program. */
export function simulateCommand(): Command {
  const devicesMax = limits.streamsMax;
  const command = new Command("simulate")
    .description("publish readings of simulated devices, replay a CSV file as devices, or messages that were recorded")
    .option("--url <url>", "the broker", "mqtt://127.0.0.1:1883")
    .option("--topic <pattern>", "the topic of a device's readings", "sensors/{device}/readings")
    .addOption(new Option("--codec <name>", "the payloads' format").choices(codecNames).default("protobuf"))
    .option("--batch <k>", "readings in a message", numberIn(1, limits.readingsPerMessageMax, true), 1)
    .option("--state <dir>", "keep boot counters here; without it boot numbers come from the clock")
    .option("--seconds <n>", "stop after n seconds", numberIn(0, 2_000_000, false))
    .option("--json", "print one JSON summary at the end and nothing else")
    .optionsGroup("Simulated devices:")
    .option("--devices <n>", "how many", numberIn(1, devicesMax, true), 50)
    .option("--rate <n>", "readings a second of each", numberIn(1e-6, 100_000, false), 10)
    .addOption(new Option("--signal <kind>", "what they measure").choices(signalKinds).default("mixed"))
    .option("--seed <n>", "other seeds are other devices", numberIn(0, 2 ** 32 - 1, true), 1)
    .option("--faults <kinds>", `sensor faults: ${faultKinds.join(", ")}, all or none`, listOf(faultKinds), [])
    .option("--fault-interval <steps>", "readings of a device from fault to fault", numberIn(10, 1e9, true), 1000)
    .option(
      "--quirks <kinds>",
      `device faults: ${quirks.join(", ")}, reconnect, all or none`,
      listOf([...quirks, "reconnect"]),
      [],
    )
    .optionsGroup("Replay:")
    .option("--replay <file>", "publish the rows of a CSV file instead, or of a .jsonl file the messages, as record writes them")
    .option("--time <column>", "its column of times, or several joined: Date,Time")
    .option("--features <columns>", "its columns to publish, in this order (default: all others)", words)
    .option("--stream <column>", "its column that names each row's device")
    .option("--speed <factor>", "1x, 1000x or max", parseSpeed, 1)
    .option("--skip-rows <n>", "leave out the first n rows of each stream, or messages", numberIn(0, 1e9, true), 0)
    .option("--from-fraction <f>", "leave out the first part of each stream, as 0.6", numberIn(0, 1, false), 0);
  return addFormatOptions(command).action((options: SimulationOptions) => runSimulation(options));
}
