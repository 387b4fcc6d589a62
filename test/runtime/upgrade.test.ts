// Today's build on the state directories that releases have written (test/fixtures/state, `npm run fixture:state`), and on formats that it does
// not know.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Test } from "tap";
import { crc32c } from "../../src/base/crc32c.ts";
import { decodeEpochSettings } from "../../src/pipeline/settings.ts";
import { repository } from "../support/cli.ts";
import { fixtureFolder, FixtureRun, packFiles, readFixture, unpackFiles } from "../support/state-fixture.ts";
import type { StateFixture } from "../support/state-fixture.ts";
import { until } from "../support/until.ts";

const names = readdirSync(fixtureFolder);

function unpack(t: Test, fixture: StateFixture): string {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-upgrade-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "m.onnx"), Buffer.from(fixture.model, "base64"));
  unpackFiles(fixture, join(folder, "state"));
  return folder;
}

t.test("there is a state directory of this version", async (t) => {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
  t.ok(names.includes(`${version}.json`), `npm run fixture:state writes test/fixtures/state/${version}.json`);
});

for (const name of names) {
  t.test(`the state in ${name} goes on to the bit`, async (t) => {
    const fixture = readFixture(name);
    const folder = unpack(t, fixture);
    const run = await new FixtureRun().start(folder);
    t.match(run.runtime.recovered, { mismatches: 0, damaged: false });
    t.ok(
      run.runtime.recovered.checkpointPosition > 0 && run.runtime.recovered.events > 0,
      "from a checkpoint and the journal behind it",
    );
    t.strictSame(await run.states(), fixture.states);
    await until("what was unconfirmed has left", () => run.runtime.status().outbox.messages === 0);
    const again = run.byTopic(0);
    t.ok(fixture.unconfirmed.length > 0);
    for (const [topic, payload] of fixture.unconfirmed)
      t.ok(again[topic]?.includes(payload), `${topic} leaves again, with the same bytes`);
    const from = run.published.length;
    await run.publish(fixture.readings);
    await run.left("d", 10);
    t.strictSame(run.byTopic(from), fixture.published);
    t.strictSame(await run.states(), fixture.statesAfter);
    await run.runtime.stop();
  });
}

/** Other formats of a file, under a CRC that is right. */
function rewriteFormat(path: string, offsets: readonly number[], change: number): void {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const offset of offsets) {
    view.setUint32(offset + 4, view.getUint32(offset + 4, true) + change, true);
    view.setUint32(offset + 24, crc32c(bytes, 0, offset, offset + 24), true);
  }
  writeFileSync(path, bytes);
}

t.test("a format of another release is refused with what to do, and nothing is touched", async (t) => {
  const fixture = readFixture(names.at(-1)!);
  const cases = [
    { file: "segment-000001", offsets: [0, 2048], what: "journal" },
    { file: "checkpoint-a", offsets: [0], what: "checkpoint" },
  ];
  for (const { file, offsets, what } of cases) {
    for (const [change, writer] of [
      [1, "a newer release has written it: start that one on it"],
      [-1, "an older release has written it, and this one does not read it any more: start that one on it"],
    ] as const) {
      const folder = unpack(t, fixture);
      const state = join(folder, "state");
      rewriteFormat(join(state, "journal", file), offsets, change);
      const before = packFiles(state);
      await t.rejects(new FixtureRun().start(folder), {
        code: "foreign_state",
        message: new RegExp(
          `^cannot read the ${what}: it has format \\d+, this version reads \\d+; ${writer}, or give this one another state directory$`,
        ),
      });
      t.strictSame(packFiles(state), before);
      t.strictSame(readdirSync(state).toSorted(), ["crashes.json", "journal", "models"], "nothing came into being");
    }
  }
  t.throws(() => decodeEpochSettings('{"format":99}'), {
    code: "foreign_state",
    message: /^cannot read the settings in the journal: it has format 99, this version reads \d+; a newer release/,
  });
});
