// Targets that need more than a function: messages and commands through the whole pipeline, and checkpoints through their files into
// a fold. Each begins anew every few thousand inputs, so that what it keeps does not pile up.
import { strict as assert } from "node:assert";
import { CheckpointFiles } from "../../src/journal/checkpoint-file.ts";
import { openEngine } from "../../src/engine/open-engine.ts";
import { Fold } from "../../src/pipeline/fold.ts";
import { restoreSnapshot } from "../../src/pipeline/snapshot.ts";
import { StreamGroup } from "../../src/pipeline/stream-group.ts";
import { Box } from "../support/box.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { group, model, models, reading } from "../support/one-group.ts";
import type { Target } from "./targets.ts";

const INPUTS_PER_BOX = 2000;
const utf8 = new TextEncoder();

async function newBox(): Promise<Box> {
  const groups = [{ ...group, engine: "native", topic: "s/{device}/r" }];
  const box = new Box({ models, groups, commands: true, streamsMax: 50 });
  await box.start();
  await box.deliver(reading("a", 0));
  await box.deliver(reading("b", 0));
  return box;
}

/** `<topic>\n<payload>`: a message of MQTT as the pipeline gets it. Nothing may be fatal, and each is settled. */
async function messageTarget(): Promise<Target> {
  let box = await newBox();
  let inputs = 0;
  const command = { transaction: "t1", expires: "2036-01-01T00:00:00Z", stream: "a" };
  const state = Array.from({ length: 8 }, (_, i) => i / 10);
  const samples = [
    ["hiddenstate/box/command/get", command],
    ["hiddenstate/box/command/reset", { ...command, transaction: "t2" }],
    ["hiddenstate/box/command/set", { ...command, transaction: "t3", state: { h: state } }],
    ["hiddenstate/box/command/rename", { ...command, transaction: "t4", stream: "b", to: "c" }],
    ["s/a/r", { boot: 1, nonce: 9, sequence: 1, feature0: 101_320, feature1: null }],
    ["s/c/r", [{ feature0: 101_320, feature1: 0.5, stream: "x" }]],
  ].map(([topic, payload]) => utf8.encode(`${topic as string}\n${JSON.stringify(payload)}`));
  return {
    name: "messages",
    form: "text",
    samples,
    share: 40,
    bytesMax: 4096,
    codes: [],
    run: async (bytes) => {
      if (++inputs % INPUTS_PER_BOX === 0) {
        box.crash();
        box = await newBox();
      }
      const at = bytes.indexOf(10);
      const topic = Buffer.from(bytes.subarray(0, at < 0 ? bytes.length : at)).toString();
      await box.deliver({ topic, payload: bytes.slice(at < 0 ? bytes.length : at + 1), packetId: 1 + (inputs % 65_535) });
      box.publishAll();
      assert.equal(box.fatal, undefined);
    },
  };
}

/** The files of a checkpoint, and its chunks behind their CRC: whatever they hold, a fold comes of it or `state_damaged`. */
async function checkpointTargets(): Promise<Target[]> {
  const box = await newBox();
  await box.deliver({ topic: "s/a/r", payload: "a dead letter" });
  await box.control.resetState("a", { transaction: "t" });
  await box.pipeline.checkpoint();
  const file = box.disk.bytes("/state/journal/checkpoint-a").slice();
  const checkpoint = (await new CheckpointFiles(box.disk, "/state/journal").load())!;
  box.crash();
  const newFold = (): Fold =>
    new Fold(async ({ groups }) => {
      const engines = await Promise.all(groups.map(() => openEngine(model, { engine: "native" })));
      return async () => groups.map((settings, index) => new StreamGroup(index, settings, model, engines[index]!));
    });
  return [
    {
      name: "checkpoint-file",
      form: "bytes",
      samples: [file],
      share: 20,
      bytesMax: file.length,
      codes: [],
      run: async (bytes) => {
        const disk = new MemoryDisk();
        disk.put("/c/checkpoint-a", bytes);
        const files = new CheckpointFiles(disk, "/c");
        const loaded = await files.load();
        assert(loaded === undefined || loaded.position === checkpoint.position);
      },
    },
    {
      name: "checkpoint-chunks",
      form: "bytes",
      samples: checkpoint.chunks,
      share: 6,
      bytesMax: 4096,
      codes: ["state_damaged", "foreign_state"],
      run: async (bytes) => {
        const fold = newFold();
        try {
          await restoreSnapshot([checkpoint.chunks[0]!, bytes], fold);
        } finally {
          for (const { engine } of fold.groups) await engine.close();
        }
      },
    },
  ];
}

export async function runtimeTargets(): Promise<Target[]> {
  return [await messageTarget(), ...(await checkpointTargets())];
}
