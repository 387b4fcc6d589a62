import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { repository } from "../support/cli.ts";
import { packInto, runIn, startIn } from "../support/packed.ts";

t.test(
  "the package, installed in an empty folder without development packages, runs the demo",
  { timeout: 240_000 },
  async (t) => {
    // Outside the repository, whose packages it must not find.
    const folder = mkdtempSync(join(tmpdir(), "hiddenstate-package-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const start = (command: string, args: readonly string[]) => startIn(folder, command, args);
    const run = (command: string, args: readonly string[]): string => runIn(folder, command, args);
    const { filename, files } = packInto(folder, repository);
    t.ok(files.includes("build/src/cli/main.js") && files.includes("build/src/index.d.ts") && files.includes("LICENSE"));
    t.strictSame(
      files.filter((path) => /^(build\/)?(test|bench|src)\//.test(path) && !path.startsWith("build/src/")),
      [],
      "no tests, no sources",
    );
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "user", version: "1.0.0", type: "module", private: true }),
    );
    run("npm", ["install", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline", join(folder, filename)]);
    const bin = join(folder, "node_modules/.bin/hiddenstate");

    const summary = JSON.parse(run(bin, ["demo", "--seconds", "5", "--json"])) as Record<string, number>;
    t.ok(summary["readings"]! > 100, JSON.stringify(summary));
    t.match(summary, { streams: 20, resumedStreams: 0, readingsLost: 0, predictions: summary["readings"]! });
    const again = JSON.parse(run(bin, ["demo", "--seconds", "3", "--json"])) as Record<string, number>;
    t.match(again, { streams: 20, resumedStreams: 20, readingsLost: 0 });

    writeFileSync(
      join(folder, "use.ts"),
      `import { createRuntime, defineConfig, DirectLink, EngineStream, openEngine, SequenceModel, TimeGRU, TimeRNN, tensor, type Engine, type Prediction } from "hiddenstate";
export const h: number[] = [...new TimeRNN(tensor(new Float32Array(6), [2, 3]), tensor(new Float32Array(9), [3, 3]), tensor(new Float32Array(3), [3])).forward(tensor(new Float32Array(4), [1, 2, 2])).shape];
export type Mine = Engine;
export const layers: readonly (new (...args: never[]) => object)[] = [TimeGRU, SequenceModel, EngineStream];
export async function embed(): Promise<void> {
  const link = new DirectLink(({ topic }) => console.log(topic.length));
  const config = defineConfig({ node: "n", state: "s", groups: [{ name: "g", topic: "in/#", codec: "json", model: "m.onnx" }] });
  const runtime = await createRuntime(config, { ports: link.ports });
  runtime.onPrediction(({ outputs }: Prediction) => console.log(outputs[0]?.toFixed(1)));
}
export type Opened = Awaited<ReturnType<typeof openEngine>>;
`,
    );
    for (const [module, moduleResolution] of [
      ["esnext", "bundler"],
      ["node16", "node16"],
    ]) {
      const compilerOptions = { module, moduleResolution, target: "es2023", strict: true, types: [] };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
      run(process.execPath, [join(repository, "node_modules/typescript/bin/tsc"), "-p", folder]);
    }
    t.equal(
      run(process.execPath, ["-e", 'import("./use.js").then(({ h }) => console.log(JSON.stringify(h)))']),
      "[1,2,3]\n",
      "the library is typed and works",
    );

    const example = join(folder, "node_modules/hiddenstate/examples/step-a-stream.mjs");
    t.match(run(process.execPath, [example, "stream.json", "3"]), "begins in the model's initial state");
    t.match(run(process.execPath, [example, "stream.json", "3"]), "goes on at step 3");

    rmSync(join(folder, "node_modules/onnxruntime-node"), { recursive: true, force: true });
    const model = join(folder, "node_modules/hiddenstate/models");
    const verify = start(bin, ["verify", join(model, "bearing.onnx")]);
    t.equal(verify.status, 69);
    t.match(verify.stderr, /onnxruntime-node/, "what needs onnxruntime says what to install");
    const native = JSON.parse(run(bin, ["demo", "--seconds", "2", "--json"])) as Record<string, number>;
    t.match(native, { resumedStreams: 20, readingsLost: 0 }, "without onnxruntime the native engine runs");
  },
);
