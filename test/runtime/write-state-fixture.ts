// `npm run fixture:state`: writes the state directory of the release at hand to test/fixtures/state, for the builds that come after it to start
// on. What a published release has written is never written anew.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "../support/cli.ts";
import { model } from "../support/one-group.ts";
import { fixtureFolder, FixtureRun, packFiles } from "../support/state-fixture.ts";
import type { StateFixture } from "../support/state-fixture.ts";

const START_MS = Date.UTC(2024, 0, 1);
const time = (step: number): string => new Date(START_MS + step * 60_000).toISOString();

function scored(device: string, step: number, feature1 = Math.sin(step / 4)): [string, string] {
  const identity = { boot: 1, nonce: 9, sequence: step };
  return [`in/scored/${device}`, JSON.stringify({ ...identity, time: time(step), feature0: 101_320 + Math.cos(step), feature1 })];
}

function weak(step: number): [string, string] {
  return ["in/scored/weak", JSON.stringify({ time: time(step), feature0: 101_300, feature1: step % 3 === 0 ? null : step / 10 })];
}

/** A message with one of the two features. */
function part(step: number): [string, string] {
  const value = step % 2 === 0 ? { feature0: 101_000 + step } : { feature1: step / 20 };
  return ["in/parts/p", JSON.stringify({ time: time(step), ...value })];
}

function learned(step: number): [string, string] {
  return ["in/learns/room", JSON.stringify({ time: time(step), celsius: Number((20 + 3 * Math.sin(step / 9)).toFixed(3)) })];
}

/** Of two that learn one network. */
function together(step: number): [string, string][] {
  return [1, 2].map((pump) => [
    `in/together/${pump}`,
    JSON.stringify({ time: time(step), flow: Number((pump * Math.cos(step / 5)).toFixed(3)) }),
  ]);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
/** The alarm's cause: far from anything before. */
const SHOCK = 60;

/** Into a checkpoint. */
async function first(folder: string): Promise<void> {
  const run = await new FixtureRun().start(folder);
  for (const step of range(0, 300)) await run.publish([scored("a", step)]);
  for (const step of range(0, 520)) await run.publish([learned(step)]);
  for (const step of range(0, 260)) await run.publish(together(step));
  for (const step of range(0, 8)) await run.publish([scored("b", step), scored("c", step), weak(step), part(step)]);
  // 8 is absent, so 9 waits for it.
  await run.publish([scored("b", 9), ["in/scored/a", "no reading"]]);
  await run.runtime.control.setAlarmBudget("b", "1/year", { transaction: "budget of b" });
  await run.runtime.control.renameStream("c", "d", { transaction: "rename c" });
  const { state } = await run.runtime.getState("a");
  await run.runtime.setState("d", state, { transaction: "set d" });
  await run.runtime.stop();
}

/** Into the journal behind it; returns the run, which goes on after its files have been packed. */
async function second(folder: string): Promise<{ readonly run: FixtureRun; readonly waiting: readonly [string, string][] }> {
  /** Its predictions, and the newest of them, retained. */
  const isLate = (topic: string): boolean => topic.startsWith("hiddenstate/box/prediction/late");
  const run = await new FixtureRun(({ topic }) => !isLate(topic)).start(folder);
  for (let step = 300; run.published.every(({ topic }) => !topic.includes("/alarm/")); step++) {
    if (step === 400) throw new Error("no alarm has opened: change what is to raise one");
    await run.publish([scored("a", step, SHOCK)]);
    await run.left("a", step);
  }
  for (const step of range(520, 530)) await run.publish([learned(step), ...together(step - 260)]);
  for (const step of range(8, 12)) await run.publish([weak(step), part(step)]);
  await run.publish([scored("d", 8)]);
  await run.runtime.resetState("d", { transaction: "reset d" });
  await run.runtime.control.setAlarmBudget("d", "2/day", { transaction: "budget of d" });
  await run.publish([scored("d", 9), scored("late", 0), scored("late", 1)]);
  await run.left("late", 1);
  const waiting = run.published
    .filter(({ topic }) => isLate(topic))
    .map(({ topic, payload }): [string, string] => [topic, Buffer.from(payload).toString()]);
  return { run, waiting };
}

const version = (JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string }).version;
if (!readFileSync(join(repository, "CHANGELOG.md"), "utf8").includes(`## ${version} (unreleased)`)) {
  console.error(
    `cannot write the state of ${version}: it has been released, and what it wrote does not change any more; raise the version`,
  );
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "hiddenstate-fixture-"));
writeFileSync(join(folder, "m.onnx"), model.bytes);
await first(folder);
const { run, waiting } = await second(folder);
const states = await run.states();
// All that was answered is durable, so this is what a kill would leave.
const files = packFiles(join(folder, "state"));
const from = run.published.length;
const alarmed = states["a"]!.facts.sequence;
const readings = [
  ...range(alarmed + 1, alarmed + 13).map((step) => scored("a", step)),
  scored("b", 8),
  scored("b", 10),
  ...range(530, 540).flatMap((step) => [learned(step), ...together(step - 260)]),
  ...range(12, 16).flatMap((step) => [weak(step), part(step)]),
  scored("d", 10),
];
await run.publish(readings);
await run.left("d", 10);
const fixture: StateFixture = {
  version,
  model: Buffer.from(model.bytes).toString("base64"),
  files,
  states,
  unconfirmed: waiting,
  readings,
  published: run.byTopic(from),
  statesAfter: await run.states(),
};
mkdirSync(fixtureFolder, { recursive: true });
const path = join(fixtureFolder, `${version}.json`);
writeFileSync(path, `${JSON.stringify(fixture, undefined, 1)}\n`);
await run.runtime.stop();
rmSync(folder, { recursive: true, force: true });
console.log(`wrote test/fixtures/state/${version}.json: ${Object.keys(files).join(", ")}`);
process.exit(0);
