import t from "tap";
import type { OutputSpec } from "../../src/model/spec.ts";
import { tuningProblem } from "../../src/model/tuning-problem.ts";
import { randomModel } from "../support/random-model.ts";

t.test("what cannot be fine-tuned is told before anything is tried", async (t) => {
  const { spec } = randomModel({ features: 2, outputs: 2 });
  const [first, second] = spec.outputs as [OutputSpec, OutputSpec];
  t.equal(tuningProblem(spec), undefined);
  t.equal(
    tuningProblem(randomModel({ features: 2, outputs: 2, head: "classifier" }).spec),
    "it is a classifier, and readings carry no classes",
  );
  t.equal(tuningProblem({ ...spec, outputs: [first, { ...second, horizon: 12 }] }), "its outputs have several horizons");
  const nameless = `its output ${second.name} forecasts none of its features, or does not say how far ahead`;
  t.equal(tuningProblem({ ...spec, outputs: [first, { ...second, feature: "other" }] }), nameless);
  const { horizon: _, ...timeless } = second;
  t.equal(tuningProblem({ ...spec, outputs: [first, timeless] }), nameless);
});
