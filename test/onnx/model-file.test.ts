import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import t from "tap";
import { systemDisk } from "../../src/base/disk.ts";
import { HiddenstateError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { createRandom } from "../../src/base/random.ts";
import { tensor, zeros } from "../../src/kernels/tensor.ts";
import type { ModelWeights } from "../../src/model/model.ts";
import { nativeProblem } from "../../src/model/native-problem.ts";
import { parseModelSpec, SPEC_METADATA_KEY } from "../../src/model/spec.ts";
import type { LayerSpec, ModelSpec } from "../../src/model/spec.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { encodeModel } from "../../src/onnx/encode-model.ts";
import { onnx } from "../../src/onnx/generated/onnx.js";
import { modelGraph } from "../../src/onnx/model-graph.ts";
import { specProblem } from "../../src/onnx/spec-problem.ts";
import { stateSpecs } from "../../src/onnx/state-specs.ts";
import { loadModel } from "../../src/onnx/load-model.ts";
import { cellNames, randomModel, randomWeights } from "../support/random-model.ts";
import type { CellName, RandomModelOptions } from "../support/random-model.ts";
import { sharedData } from "../support/shared-data.ts";
import { rounds } from "../support/emulation.ts";

const shapes = fc
  .record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    features: fc.integer({ min: 1, max: 6 }),
    outputs: fc.integer({ min: 1, max: 4 }),
    hidden: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
    cells: fc.array(fc.constantFrom(...cellNames), { maxLength: 3 }),
    head: fc.constantFrom("regression", "gaussian", "classifier"),
    residual: fc.boolean(),
  })
  .map((options) => ({ ...options, residual: options.residual && options.head !== "classifier" }));

t.test("a model that went through its file has the same spec, version and bits", async (t) => {
  fc.assert(
    fc.property(shapes, (options) => {
      const { spec, weights } = randomWeights(options);
      weights.layers[0]!.b.data[0] = -0;
      const bytes = encodeModel(spec, weights);
      const model = decodeModel(bytes, "a.onnx");
      t.strictSame(model.spec, spec);
      // Not `same`: -0 and 0 are different bits.
      t.ok(Object.is(model.weights.layers[0]!.b.data[0], -0));
      t.strictSame(model.weights, weights);
      t.equal(model.version, createHash("sha256").update(bytes).digest("hex"));
      t.ok(Buffer.from(encodeModel(model.spec, model.weights)).equals(bytes));
    }),
    { numRuns: rounds(100), seed: 7 },
  );
});

t.test("the bytes depend on spec and weights alone, and do not change from release to release", async (t) => {
  const { spec, weights } = randomWeights({ seed: 3, features: 2, hidden: [3], residual: true });
  const shuffled: ModelSpec = {
    states: spec.states,
    head: { residual: spec.head.residual, kind: spec.head.kind },
    layers: spec.layers,
    outputs: spec.outputs,
    features: spec.features.map(({ name, unit }) => ({ unit, name })),
    task: spec.task,
    name: spec.name,
    format: spec.format,
  };
  const bytes = encodeModel(spec, weights);
  t.ok(Buffer.from(encodeModel(shuffled, weights)).equals(bytes));
  t.equal(createHash("sha256").update(bytes).digest("hex"), "7a064c778e14d775a5240a57c5fc9179a5d4be988e2a11ab2e25c3923a8e4ce7");
});

function line(port: onnx.IValueInfoProto): string {
  const axes = port.type?.tensorType?.shape?.dim?.map((dim) => dim.dimParam ?? Number(dim.dimValue));
  return `${port.name} (${axes?.join(", ")})`;
}

t.test("the graph has the names, the axes and the versions of docs/model-file.md", async (t) => {
  const { spec, weights } = randomWeights({ features: 3, outputs: 2, hidden: [4, 5], residual: true });
  const proto = onnx.ModelProto.decode(encodeModel(spec, weights));
  t.strictSame(proto.graph?.input?.map(line), ["x (T, N, 3)", "h1_in (1, N, 4)", "h2_in (1, N, 5)"]);
  t.strictSame(proto.graph?.output?.map(line), ["y (T, N, 2)", "h1_out (1, N, 4)", "h2_out (1, N, 5)"]);
  t.equal(
    proto.graph?.initializer?.map((entry) => `${entry.name} (${entry.dims?.map(Number).join(", ")})`).join(" "),
    "x_mean (3) x_scale (3) layer1_W (1, 4, 3) layer1_R (1, 4, 4) layer1_B (1, 8) " +
      "layer2_W (1, 5, 4) layer2_R (1, 5, 5) layer2_B (1, 10) head_W (5, 2) head_b (2) " +
      "y_scale (2) y_mean (2) direction_axis (1) output_features (2)",
  );
  t.equal(
    proto.graph?.node?.map((node) => node.opType).join(" "),
    "Sub Div RNN Squeeze RNN Squeeze MatMul Add Mul Add Gather Add",
  );
  t.equal(Number(proto.irVersion), 8);
  t.strictSame([proto.producerName, proto.producerVersion], ["hiddenstate", "1"]);
  t.strictSame(
    proto.opsetImport.map((set) => [set.domain, Number(set.version)]),
    [["", 17]],
  );
  t.strictSame(
    proto.metadataProps.map((entry) => entry.key),
    [SPEC_METADATA_KEY],
  );
});

/** A graph's nodes and what they have as attributes, such as `GRU{hidden_size 4, linear_before_reset 1}`. */
function nodesOf(options: RandomModelOptions): string {
  const { spec, weights } = randomWeights(options);
  const { graph } = onnx.ModelProto.decode(encodeModel(spec, weights));
  return graph!
    .node!.map(({ opType, attribute }) => {
      const values = attribute!.map(({ name, i, strings }) => {
        const words = strings!.map((word) => Buffer.from(word).toString());
        return `${name} ${words.length > 0 ? words.join(",") : Number(i)}`;
      });
      return values.length === 0 ? opType : `${opType}{${values.join(", ")}}`;
    })
    .join(" ");
}

t.test("every cell is its ONNX operator, and every head ends in units or probabilities", async (t) => {
  t.equal(
    nodesOf({ hidden: [4, 3], cells: ["gru", "gru_reset_first"], head: "classifier" }),
    "Sub Div GRU{hidden_size 4, linear_before_reset 1} Squeeze GRU{hidden_size 3, linear_before_reset 0} Squeeze MatMul Add Softmax{axis 2}",
  );
  t.equal(
    nodesOf({ hidden: [4, 3], cells: ["rnn_relu", "lstm"], head: "gaussian", residual: true }),
    "Sub Div RNN{hidden_size 4, activations Relu} Squeeze LSTM{hidden_size 3} Squeeze MatMul Add Split{axis 2} " +
      "Mul Add Gather{axis 2} Add Mul Exp Mul Concat{axis 2}",
  );
  const { spec } = randomWeights({ hidden: [4, 3, 2], cells: ["lstm", "rnn_relu", "gru"] });
  t.strictSame(
    spec.states.map(({ name, input, output, shape, bound }) => [name, input, output, shape.join(), bound]),
    [
      ["h1", "h1_in", "h1_out", "1,1,4", 1],
      ["c1", "c1_in", "c1_out", "1,1,4", undefined],
      ["h2", "h2_in", "h2_out", "1,1,3", undefined],
      ["h3", "h3_in", "h3_out", "1,1,2", 1],
    ],
  );
  t.strictSame(
    modelGraph(spec).outputs.map(({ name }) => name),
    ["y", "h1_out", "c1_out", "h2_out", "h3_out"],
  );
});

t.test("activations that a spec names are the graph's, and a state is bounded where they are known to bound it", async (t) => {
  const { spec, weights } = randomWeights({ features: 2, hidden: [3, 4, 2], cells: ["rnn_tanh", "gru", "lstm"] });
  const layers: LayerSpec[] = [
    { cell: "rnn", hidden: 3, activations: ["Softsign"] },
    { cell: "gru", hidden: 4, linearBeforeReset: true, activations: ["Sigmoid", "Tanh"] },
    { cell: "lstm", hidden: 2, activations: ["HardSigmoid", "Tanh", "Softsign"] },
  ];
  const named: ModelSpec = { ...spec, layers, states: stateSpecs(layers) };
  t.strictSame(
    named.states.map(({ name, bound }) => [name, bound]),
    [
      ["h1", undefined],
      ["h2", 1],
      ["h3", undefined],
      ["c3", undefined],
    ],
  );
  const model = decodeModel(encodeModel(named, weights), "a.onnx");
  t.strictSame(model.spec, named);
  t.strictSame(model.weights, weights);
  t.strictSame(
    modelGraph(named).nodes.flatMap(({ attributes }) => ("activations" in attributes ? [attributes["activations"]] : [])),
    layers.map((layer) => ("activations" in layer ? layer.activations : [])),
  );
  t.equal(
    nativeProblem(named),
    "node layer1_Y is RNN with the activations Softsign, and the native engine has it with Tanh or Relu",
  );
  t.equal(nativeProblem({ ...named, layers: [layers[1]!] }), undefined);
  const wrong = {
    ...named,
    layers: [{ cell: "gru", hidden: 3, linearBeforeReset: true, activations: ["Tanh"] }],
  } as unknown as ModelSpec;
  t.throws(() => encodeModel(wrong, weights), { code: "bad_argument", message: /its spec is not one: layers\.0\.activations/u });
});

t.test("gates lie in ONNX's order, and a GRU's second bias of h where ONNX keeps it", async (t) => {
  const file = (cell: CellName): { name: (name: string) => number[]; layer: ModelWeights["layers"][number] } => {
    const { spec, weights } = randomWeights({ features: 1, hidden: [2], cells: [cell] });
    const { graph } = onnx.ModelProto.decode(encodeModel(spec, weights));
    const floats = (name: string): number[] => {
      const raw = Uint8Array.from(graph!.initializer!.find((entry) => entry.name === name)!.rawData!);
      return Array.from(new Float32Array(raw.buffer));
    };
    return { name: floats, layer: weights.layers[0]! };
  };
  const picked = (values: Float32Array, places: readonly number[]): number[] => places.map((place) => values[place]!);
  const gru = file("gru");
  // Ours r, z, n; ONNX's z, r, h. With D = 1 a row of W is one number.
  t.strictSame(gru.name("layer1_W"), picked(gru.layer.Wx.data, [2, 3, 0, 1, 4, 5]));
  t.strictSame(gru.name("layer1_R"), picked(gru.layer.Wh.data, [2, 8, 3, 9, 0, 6, 1, 7, 4, 10, 5, 11]));
  const bn = gru.layer.cell === "gru" ? Array.from(gru.layer.bn.data) : [];
  t.strictSame(gru.name("layer1_B"), [...picked(gru.layer.b.data, [2, 3, 0, 1, 4, 5]), 0, 0, 0, 0, ...bn]);
  const lstm = file("lstm");
  // Ours i, f, g, o; ONNX's i, o, f, c.
  t.strictSame(lstm.name("layer1_W"), picked(lstm.layer.Wx.data, [0, 1, 6, 7, 2, 3, 4, 5]));
  t.strictSame(lstm.name("layer1_B"), [...picked(lstm.layer.b.data, [0, 1, 6, 7, 2, 3, 4, 5]), 0, 0, 0, 0, 0, 0, 0, 0]);
});

t.test("the page on the model file shows a spec that loads, and names every tensor, input and output", async (t) => {
  const page = readFileSync(new URL("../../../docs/model-file.md", import.meta.url), "utf8");
  const shown = /```json\n(.*?)```/su.exec(page)?.[1];
  t.equal(specProblem(parseModelSpec(shown!, "docs/model-file.md")), undefined);
  const { spec } = randomWeights({ features: 3, hidden: [4], residual: true });
  const graph = modelGraph(spec);
  const gaussian = modelGraph(randomWeights({ features: 3, hidden: [4], cells: ["lstm"], head: "gaussian" }).spec);
  for (const { name } of [...gaussian.tensors, ...gaussian.inputs, ...gaussian.outputs]) t.ok(page.includes(`\`${name}\``), name);
  for (const { name } of [...graph.tensors, ...graph.inputs, ...graph.outputs]) t.ok(page.includes(`\`${name}\``), name);
});

t.test("weights that are not the spec's are not exported", async (t) => {
  const { spec, weights } = randomWeights({ features: 3, hidden: [4] });
  const fails = (changed: Partial<ModelWeights>, message: string, changedSpec: ModelSpec = spec): void => {
    t.throws(() => encodeModel(changedSpec, { ...weights, ...changed }), {
      name: "HiddenstateError",
      code: "bad_argument",
      message: `cannot export model "random": ${message}`,
    });
  };
  fails({ xMean: zeros([2]) }, "xMean has shape (2), and the spec's is (3)");
  fails({ layers: [] }, "there are weights for 0 layers, and the spec has 1");
  fails({ head: { W: zeros([5, 1]), b: zeros([1]) } }, "head.W has shape (5, 1), and the spec's is (4, 1)");
  fails({ xScale: zeros([3]) }, "x_scale holds 0 at place 0, and a scale is at least 1e-12");
  fails({ yScale: tensor(new Float32Array([-1]), [1]) }, "y_scale holds -1 at place 0, and a scale is at least 1e-12");
  fails({ yMean: tensor(new Float32Array([Number.NaN]), [1]) }, "y_mean holds NaN at place 0");
  const output = spec.outputs[0]!;
  fails({}, 'output "output0" forecasts "wind", which is no feature', { ...spec, outputs: [{ ...output, feature: "wind" }] });
  fails({}, "the spec has 2 states, and its layers keep 1: h", {
    ...spec,
    states: [...spec.states, { ...spec.states[0]!, name: "other" }],
  });
  const state = spec.states[0]!;
  fails({}, 'state "h" has shape (1, 1, 5), where the layers keep h of (1, 1, 4)', {
    ...spec,
    states: [{ ...state, shape: [1, 1, 5] }],
  });
  fails({}, 'state "h" has the bound 9, where the layers keep h with 1', { ...spec, states: [{ ...state, bound: 9 }] });
  fails({}, 'two tensors of its graph would be named "x_mean"', { ...spec, states: [{ ...state, input: "x_mean" }] });
  fails({}, 'two of the spec\'s features are named "a"', { ...spec, features: [0, 1, 2].map(() => ({ name: "a", unit: "" })) });
  fails({}, "its spec is not one: layers.0.hidden: Too big: expected number to be <=4096", {
    ...spec,
    layers: [{ cell: "rnn_tanh", hidden: 5000 }],
  });
});

t.test("a spec whose head and outputs do not go together is not exported", async (t) => {
  const fails = (options: RandomModelOptions, change: (spec: ModelSpec) => Partial<ModelSpec>, message: string): void => {
    const { spec, weights } = randomWeights(options);
    t.throws(() => encodeModel({ ...spec, ...change(spec) }, weights), {
      code: "bad_argument",
      message: `cannot export model "random": ${message}`,
    });
  };
  const classes = { outputs: 3, head: "classifier" } as const;
  fails(classes, () => ({ task: "forecast" }), "its task is forecast, and a classifier's is classify");
  fails(
    classes,
    ({ head }) => ({ head: { ...head, residual: true } }),
    "its head is residual, and a class is no change of a reading",
  );
  fails(
    classes,
    ({ outputs }) => ({ outputs: [{ ...outputs[0]!, horizon: 1 }, ...outputs.slice(1)] }),
    'output "class0" is a class, and has a feature or a horizon',
  );
  fails({}, () => ({ task: "classify" }), "its task is classify, which takes a classifier as its head");
  fails(
    {},
    () => ({ outputs: [{ name: "a", unit: "", deviation: 1 }] }),
    'output "a" lacks the feature or the horizon that it forecasts',
  );
  const gaussian = { outputs: 2, head: "gaussian" } as const;
  fails(
    gaussian,
    ({ outputs }) => ({ outputs: outputs.slice(1) }),
    "a gaussian head has a mean and a deviation for each target, and 3 outputs are not pairs",
  );
  fails(
    gaussian,
    ({ outputs }) => ({ outputs: [outputs[0]!, outputs[1]!, outputs[3]!, outputs[2]!] }),
    'output "output1 deviation" is the deviation of output "output0", and forecasts something else',
  );
  const cells = "layers[0] is of cell gru with linear_before_reset = 0, and the spec's is gru with linear_before_reset = 1";
  const { spec } = randomWeights({ cells: ["gru"] });
  t.throws(() => encodeModel(spec, randomWeights({ cells: ["gru_reset_first"] }).weights), {
    message: `cannot export model "random": ${cells}`,
  });
  fails(
    { hidden: [4], cells: ["lstm"] },
    ({ states }) => ({ states: [states[0]!, { ...states[1]!, bound: 1 }] }),
    'state "c" has the bound 1, where the layers keep c with none',
  );
});

t.test("a model larger than what is read back is not exported", async (t) => {
  const { spec, weights } = randomWeights({ features: 1, hidden: [4096] });
  t.throws(() => encodeModel(spec, weights), {
    code: "bad_argument",
    message: /^cannot export model "random": its file would take 671\d{5} bytes, over the 67108864 that are read back$/,
  });
});

const REGRESSION: RandomModelOptions = { features: 3, outputs: 2, hidden: [4], residual: true };

/** A good file after `change` had its way with the message. */
function tampered(change: (proto: onnx.ModelProto, graph: onnx.IGraphProto) => void, options = REGRESSION): Uint8Array {
  const { spec, weights } = randomWeights(options);
  const proto = onnx.ModelProto.decode(encodeModel(spec, weights));
  change(proto, proto.graph!);
  return onnx.ModelProto.encode(proto).finish();
}

function tensorNamed(graph: onnx.IGraphProto, name: string): onnx.ITensorProto {
  return graph.initializer!.find((entry) => entry.name === name)!;
}

function setNumber(graph: onnx.IGraphProto, name: string, place: number, value: number): void {
  const entry = tensorNamed(graph, name);
  const raw = Uint8Array.from(entry.rawData!);
  new DataView(raw.buffer).setFloat32(place * 4, value, true);
  entry.rawData = raw;
}

function changeSpec(proto: onnx.ModelProto, change: (spec: ModelSpec) => object): void {
  const entry = proto.metadataProps.find((candidate) => candidate.key === SPEC_METADATA_KEY)!;
  entry.value = JSON.stringify(change(parseModelSpec(entry.value!, "a.onnx")));
}

const refusals: [string, Parameters<typeof tampered>[0], string | RegExp][] = [
  [
    "no spec",
    (proto) => (proto.metadataProps = []),
    "it has no hiddenstate.spec in its metadata; hiddenstate train writes files that have",
  ],
  ["two specs", (proto) => proto.metadataProps.push(proto.metadataProps[0]!), "it has hiddenstate.spec 2 times in its metadata"],
  ["no graph", (proto) => delete (proto as onnx.IModelProto).graph, "it has no graph"],
  [
    "a missing tensor",
    (_, graph) => (graph.initializer = graph.initializer!.filter((entry) => entry.name !== "layer1_R")),
    "tensor layer1_R is missing",
  ],
  [
    "a tensor of another shape",
    (_, graph) => (tensorNamed(graph, "layer1_W").dims = [1, 3, 4]),
    "tensor layer1_W has shape (1, 3, 4), and the spec wants (1, 4, 3)",
  ],
  [
    "a tensor of another type",
    (_, graph) => (tensorNamed(graph, "head_b").dataType = 11),
    "tensor head_b is double, and the spec wants float32",
  ],
  [
    "an unheard-of type",
    (_, graph) => (tensorNamed(graph, "head_b").dataType = 99),
    "tensor head_b is type 99, and the spec wants float32",
  ],
  [
    "too few numbers",
    (_, graph) => (tensorNamed(graph, "head_W").rawData = new Uint8Array(28)),
    "tensor head_W has 28 bytes of raw_data, and its shape takes 32",
  ],
  [
    "external data",
    (_, graph) => (tensorNamed(graph, "head_W").externalData = [{ key: "location", value: "/etc/passwd" }]),
    "tensor head_W lies in another file, and a model is one file",
  ],
  [
    "external data by location",
    (_, graph) => (tensorNamed(graph, "head_W").dataLocation = onnx.TensorProto.DataLocation.EXTERNAL),
    "tensor head_W lies in another file, and a model is one file",
  ],
  ["a tensor twice", (_, graph) => graph.initializer!.push(tensorNamed(graph, "x_mean")), 'two tensors are named "x_mean"'],
  ["a tensor too many", (_, graph) => graph.initializer!.push({ name: "more" }), 'the spec knows no tensor "more"'],
  ["a NaN", (_, graph) => setNumber(graph, "layer1_R", 5, Number.NaN), "layer1_R holds NaN at place 5"],
  ["an infinity", (_, graph) => setNumber(graph, "x_mean", 1, -Infinity), "x_mean holds -Infinity at place 1"],
  ["a scale of 0", (_, graph) => setNumber(graph, "x_scale", 2, 0), "x_scale holds 0 at place 2, and a scale is at least 1e-12"],
  [
    "a tiny scale",
    (_, graph) => setNumber(graph, "y_scale", 1, 2 ** -40),
    /^y_scale holds 9\.09\S*e-13 at place 1, and a scale is at least 1e-12$/,
  ],
  [
    "a recurrence bias",
    (_, graph) => setNumber(graph, "layer1_B", 4, 0.5),
    "the second half of layer1_B (ONNX's recurrence bias) is not zero; add it to the first half",
  ],
  [
    "other output features",
    (_, graph) => (tensorNamed(graph, "output_features").rawData = new Uint8Array(16)),
    "tensor output_features holds 0 at place 0, and the spec means 2",
  ],
  [
    "another operator",
    (_, graph) => (graph.node![2]!.opType = "GRU"),
    'node 3 is "GRU(x_scaled, layer1_W, layer1_R, layer1_B, , h_in) -> (layer1_Y, h_out) {hidden_size: 4}", and the spec means "RNN(x_scaled, layer1_W, layer1_R, layer1_B, , h_in) -> (layer1_Y, h_out) {hidden_size: 4}"',
  ],
  [
    "another activation",
    (_, graph) =>
      graph.node![2]!.attribute!.push({
        name: "activations",
        type: onnx.AttributeProto.AttributeType.STRINGS,
        strings: [new TextEncoder().encode("Affine")],
      }),
    /^node 3 is "RNN\(.*\) \{activations: \[Affine\], hidden_size: 4\}", and the spec means "RNN\(.*\) \{hidden_size: 4\}"$/,
  ],
  ["another domain", (_, graph) => (graph.node![1]!.domain = "org.else"), /^node 2 is "\\"org\.else\\"Div\(/],
  [
    "names that pass for two",
    (_, graph) => (graph.node![0]!.input = ["x, x_mean"]),
    'node 1 is "Sub(\\"x, x_mean\\") -> (x_centred)", and the spec means "Sub(x, x_mean) -> (x_centred)"',
  ],
  [
    "a node too few",
    (_, graph) => graph.node!.pop(),
    /^node 10 is missing, and the spec means "Add\(y_change, y_present\) -> \(y\)"$/,
  ],
  ["a node too many", (_, graph) => graph.node!.push({ opType: "Exp" }), "it has 11 nodes, and the spec means 10"],
  [
    "a fixed batch",
    (_, graph) => (graph.input![0]!.type!.tensorType!.shape!.dim![1] = { dimValue: 1 }),
    'input 1 is "x: float32 (T, 1, 3)", and the spec means "x: float32 (T, N, 3)"',
  ],
  [
    "a missing state output",
    (_, graph) => graph.output!.pop(),
    'output 2 is missing, and the spec means "h_out: float32 (1, N, 4)"',
  ],
  ["another opset", (proto) => (proto.opsetImport[0]!.version = 18), 'it imports operator set "18", and not 17 alone'],
  [
    "a foreign operator set",
    (proto) => proto.opsetImport.push({ domain: "com.microsoft", version: 1 }),
    'it imports operator set "17, com.microsoft 1", and not 17 alone',
  ],
  [
    "another hidden size in the spec",
    (proto) => changeSpec(proto, (spec) => ({ ...spec, layers: [{ cell: "rnn_tanh", hidden: 5 }] })),
    'state "h" has shape (1, 1, 4), where the layers keep h of (1, 1, 5)',
  ],
  [
    "another feature count in the spec",
    (proto) => changeSpec(proto, (spec) => ({ ...spec, features: [...spec.features, { name: "d", unit: "" }] })),
    "tensor x_mean has shape (3), and the spec wants (4)",
  ],
];

t.test("a file that is not what its spec says is refused, naming what differs", async (t) => {
  for (const [what, change, reason] of refusals) {
    const message =
      typeof reason === "string"
        ? `cannot use model a.onnx: ${reason}`
        : new RegExp(reason.source.replace("^", "^cannot use model a\\.onnx: "), "u");
    t.throws(() => decodeModel(tampered(change), "a.onnx"), { name: "HiddenstateError", code: "bad_model", message }, what);
  }
  const cell = tampered((proto) => changeSpec(proto, (spec) => ({ ...spec, layers: [{ cell: "mamba", hidden: 4 }] })));
  t.throws(() => decodeModel(cell, "a.onnx"), {
    code: "bad_model",
    message:
      'cannot read the spec in a.onnx: layers.0.cell: there is no cell "mamba"; export the model with one of rnn_tanh, rnn_relu, rnn, gru, lstm',
  });
  const text = tampered((proto) => (proto.metadataProps[0]!.value = "{"));
  t.throws(() => decodeModel(text, "a.onnx"), { code: "bad_model", message: "cannot read the spec in a.onnx: it is not JSON" });
});

t.test("a gated cell or another head is held to its spec as strictly", async (t) => {
  const gru = { hidden: [4], cells: ["gru"] } as const;
  const lstm = { hidden: [3], cells: ["lstm"] } as const;
  const gaussian = { hidden: [3], head: "gaussian" } as const;
  const cases: [RandomModelOptions, Parameters<typeof tampered>[0], string | RegExp][] = [
    [
      gru,
      (_, graph) => (graph.node![2]!.attribute![1]!.i = 0),
      /^node 3 is "GRU\(.*\{hidden_size: 4, linear_before_reset: 0\}", and the spec means "GRU\(.*linear_before_reset: 1\}"$/u,
    ],
    [
      gru,
      (_, graph) => setNumber(graph, "layer1_B", 19, 0.5),
      "the second half of layer1_B (ONNX's recurrence bias) is not zero for z and r; add it to the first half",
    ],
    [gru, (_, graph) => setNumber(graph, "layer1_B", 23, Number.NaN), "layer1_B holds NaN at place 23"],
    [lstm, (_, graph) => graph.node![2]!.input!.push("P"), /^node 3 is "LSTM\(.*, c_in, P\) -> /u],
    [
      lstm,
      (_, graph) => (tensorNamed(graph, "layer1_R").dims = [1, 3, 12]),
      "tensor layer1_R has shape (1, 3, 12), and the spec wants (1, 12, 3)",
    ],
    [
      { hidden: [4], cells: ["rnn_relu"] },
      (_, graph) => graph.node![2]!.attribute!.pop(),
      /^node 3 is "RNN\(.*\{hidden_size: 4\}", and the spec means "RNN\(.*\{activations: \[Relu\], hidden_size: 4\}"$/u,
    ],
    [gaussian, (_, graph) => setNumber(graph, "half", 0, 1), "half holds 1, and halves"],
    [
      gaussian,
      (_, graph) => (graph.node!.find(({ opType }) => opType === "Exp")!.opType = "Softplus"),
      'node 11 is "Softplus(log_deviation) -> (deviation_standard)", and the spec means "Exp(log_deviation) -> (deviation_standard)"',
    ],
    [
      { outputs: 3, head: "classifier" },
      (_, graph) => (graph.node!.at(-1)!.attribute![0]!.i = 1),
      'node 7 is "Softmax(logits) -> (y) {axis: 1}", and the spec means "Softmax(logits) -> (y) {axis: 2}"',
    ],
  ];
  for (const [options, change, reason] of cases) {
    const message =
      typeof reason === "string"
        ? `cannot use model a.onnx: ${reason}`
        : new RegExp(reason.source.replace("^", "^cannot use model a\\.onnx: "), "u");
    t.throws(() => decodeModel(tampered(change, options), "a.onnx"), { name: "HiddenstateError", code: "bad_model", message });
  }
});

t.test("fields that this project does not know do not hurt", async (t) => {
  const { spec, weights } = randomWeights({});
  const bytes = encodeModel(spec, weights);
  // ModelProto.doc_string (6), training_info (20) and functions (25), each of one byte that means nothing here.
  const more = new Uint8Array([...bytes, 0x32, 1, 65, 0xa2, 1, 1, 0, 0xca, 1, 1, 0]);
  t.strictSame(decodeModel(more, "a.onnx").weights, weights);
});

t.test("what is no model file is refused in words", async (t) => {
  const refused = (bytes: Uint8Array, message: string | RegExp): void => {
    t.throws(() => decodeModel(bytes, "a.onnx"), { name: "HiddenstateError", code: "bad_model", message });
  };
  refused(
    new Uint8Array(),
    "cannot use model a.onnx: it has no hiddenstate.spec in its metadata; hiddenstate train writes files that have",
  );
  refused(Buffer.from("<!doctype html><html>"), /^cannot use model a\.onnx: it is not an ONNX file, or is cut short \(/u);
  refused(new Uint8Array(limits.modelBytesMax + 1), "cannot use model a.onnx: it has 67108865 bytes, over 67108864");
  // A graph of millions of empty nodes: two bytes each here, hundreds once decoded.
  const swarm = new Uint8Array(8 * 2 ** 20 + 1);
  for (let at = 5; at + 1 < swarm.length; at += 2) swarm[at] = 0x0a;
  const length = swarm.length - 5;
  swarm.set([0x3a, (length & 127) | 128, ((length >> 7) & 127) | 128, ((length >> 14) & 127) | 128, length >> 21]);
  refused(swarm, /: it holds 8388609 bytes besides its tensors' numbers, over 1048576$/u);
});

t.test("every cut of a file is refused, and no flipped bits bring down the reader", async (t) => {
  const { bytes } = randomModel({ features: 2, outputs: 2, hidden: [3, 2], residual: true });
  const outcomes = { refused: 0, loaded: 0 };
  const attempt = (mutated: Uint8Array): boolean => {
    try {
      const { weights } = decodeModel(mutated, "a.onnx");
      for (const layer of weights.layers)
        if (!layer.Wx.data.every(Number.isFinite)) t.fail("a number that is not finite came through");
      outcomes.loaded += 1;
      return true;
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError) || thrown.code !== "bad_model") throw thrown;
      if (!/^cannot (use model|read the spec in) a\.onnx: /u.test(thrown.message)) t.fail(thrown.message);
      outcomes.refused += 1;
      return false;
    }
  };
  for (let length = 0; length < bytes.length; length++)
    if (attempt(bytes.subarray(0, length))) t.fail(`cut at ${length} was loaded`);
  const random = createRandom(11);
  for (let run = 0; run < 6000; run++) {
    const mutated = Uint8Array.from(bytes);
    const flips = 1 + (random.uint32() % 4);
    for (let flip = 0; flip < flips; flip++) mutated[random.uint32() % mutated.length] = random.uint32() & 255;
    attempt(mutated);
  }
  for (let run = 0; run < 3000; run++) {
    // A piece of the file repeated or left out: lengths and order go wrong, values stay plausible.
    const from = random.uint32() % bytes.length;
    const to = random.uint32() % bytes.length;
    attempt(Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]));
  }
  t.ok(outcomes.refused > 5000, `${outcomes.refused} refused`);
  t.ok(outcomes.loaded > 100, `${outcomes.loaded} loaded: a flip in a weight is another weight`);
});

t.test("random bytes are refused", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      t.throws(() => decodeModel(bytes, "a.onnx"), { name: "HiddenstateError", code: "bad_model" });
    }),
    { numRuns: rounds(2000), seed: 3 },
  );
});

const foreign = sharedData("torch_onnx", "set_a", "A03_rnn_tanh_L1_D3_H16_op14.onnx");
const foreignIsMissing = foreign === undefined ? "../shared/data is missing" : false;

t.test("a stateful model of another exporter is refused for what it lacks", { skip: foreignIsMissing }, async (t) => {
  t.throws(() => decodeModel(readFileSync(foreign!), "a03.onnx"), {
    code: "bad_model",
    message: "cannot use model a03.onnx: it has no hiddenstate.spec in its metadata; hiddenstate train writes files that have",
  });
});

t.test("a model is loaded from a path, and a path to something else is refused", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "hiddenstate-model-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const model = randomModel({});
  const path = join(folder, "a.onnx");
  await writeFile(path, model.bytes);
  t.strictSame(await loadModel(systemDisk, path), model);
  await t.rejects(loadModel(systemDisk, join(folder, "b.onnx")), {
    code: "bad_model",
    message: `cannot use model ${folder}/b.onnx: there is no such file`,
  });
  await t.rejects(loadModel(systemDisk, folder), { code: "disk_failed", message: /^cannot read model .*: EISDIR/u });
  await truncate(path, 2 ** 33);
  await t.rejects(loadModel(systemDisk, path), {
    code: "bad_model",
    message: `cannot use model ${path}: it has 8589934592 bytes, over 67108864`,
  });
});
