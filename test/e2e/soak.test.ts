import t from "tap";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { runSoak, trendOf } from "./soak-run.ts";

t.setTimeout(240_000);

t.test("a line is fitted by least squares, with the noise around it", async (t) => {
  const points = Array.from({ length: 11 }, (_, i) => [10 * i, 5 + 2 * i + (i % 2 === 0 ? 1 : -1)] as const);
  const { mean, slopePerHour, growth, noise } = trendOf(points);
  t.ok(Math.abs(mean - (15 + 1 / 11)) < 1e-9);
  t.ok(Math.abs(growth - 20) < 1e-9, "what alternates has no slope");
  t.ok(Math.abs(slopePerHour - 720) < 1e-9);
  t.ok(noise > 0.99 && noise < 1.01);
});

t.test(
  "a short soak: all readings are stepped and answered, and no descriptor is left open",
  { skip: mosquittoMissing() },
  async (t) => {
    const report = await runSoak({ minutes: 0.4, rate: 500, streams: 100, write: (line) => t.comment(line) });
    t.equal(report.accepted, report.published);
    t.ok(report.published > 1000);
    t.ok(report.predictions >= report.published);
    t.equal(report.descriptors.growth, 0);
  },
);
