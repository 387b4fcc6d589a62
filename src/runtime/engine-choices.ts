// What `engine: auto` has come to for each model version, kept in the state directory until the model, this build's kernels or Node change.
// Until a trial has been run `auto` is the native engine.
import { z } from "zod";
import { readJson, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import type { EngineTrial } from "../engine/engine-trial.ts";
import { kernelVersions } from "../kernels/recurrent-network.ts";
import { fastestKernel } from "../kernels/open-network.ts";

const costSchema = z.strictObject({ native: z.number(), onnx: z.number() });

const choiceSchema = z.strictObject({
  engine: z.enum(["native", "onnx"]),
  /** Mean nanoseconds a reading at the batch sizes that were seen. */
  cost: costSchema,
  figures: z.array(costSchema.extend({ batch: z.int() })),
  kernels: z.strictObject({ native: z.string(), onnx: z.string() }),
  node: z.string(),
});

const fileSchema = z.strictObject({ format: z.literal(1), choices: z.record(z.string(), choiceSchema) });

export type EngineChoice = z.output<typeof choiceSchema>;

export class EngineChoices {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #choices: Map<string, EngineChoice>;

  private constructor(disk: Disk, path: string, choices: Map<string, EngineChoice>) {
    this.#disk = disk;
    this.#path = path;
    this.#choices = choices;
  }

  /** A file that cannot be read as one is as good as none: what it said is measured anew. */
  static async load(disk: Disk, directory: string): Promise<EngineChoices> {
    const path = `${directory}/engines.json`;
    const file = await readJson(disk, path, fileSchema);
    const choices = new Map(Object.entries(file?.choices ?? {}));
    return new EngineChoices(disk, path, choices);
  }

  /** What a trial has said of a model version on this build and this Node. */
  get(version: string): EngineChoice | undefined {
    const choice = this.#choices.get(version);
    const holds = choice?.node === process.version && choice.kernels.native === kernelVersions[fastestKernel()];
    return holds ? choice : undefined;
  }

  async keep(
    version: string,
    trial: EngineTrial,
    { engine, cost }: Pick<EngineChoice, "engine" | "cost">,
  ): Promise<EngineChoice> {
    const { figures, kernels } = trial;
    const choice: EngineChoice = { engine, cost, figures: [...figures], kernels: { ...kernels }, node: process.version };
    this.#choices.set(version, choice);
    const file = { format: 1, choices: Object.fromEntries(this.#choices) };
    await replaceFile(this.#disk, this.#path, new TextEncoder().encode(`${JSON.stringify(file, undefined, 2)}\n`));
    return choice;
  }
}

/** A choice in a sentence's end, for log and status. */
export function describeChoice({ cost }: Pick<EngineChoice, "cost">): string {
  return `measured: native ${Math.round(cost.native)} ns a reading, onnx ${Math.round(cost.onnx)} ns`;
}
