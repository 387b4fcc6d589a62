// The version that people write, to compare with: mqtt.js with its default ack, the same protobuf, onnxruntime-node, every stream's state
// in a Map. Nothing is durable, nothing is deduplicated, no value is checked. It does what is right for speed where that costs a line:
// one thread for onnxruntime, and a stream's messages one after the other only where they would overlap.
import { connectAsync } from "mqtt";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { hiddenstate } from "../../src/message/generated/hiddenstate.js";

const { SensorBatch, PredictionBatch } = hiddenstate.v1;
type Batch = hiddenstate.v1.SensorBatch;
type State = Record<string, Tensor>;

export interface HomeMadeOptions {
  readonly url: string;
  readonly model: string;
  readonly features: number;
  readonly hidden: number;
  /** Readings in one call of onnxruntime: each its own, or all of a message. */
  readonly steps: "one" | "all";
}

async function main({ url, model, features, hidden, steps }: HomeMadeOptions): Promise<void> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const stateNames = session.inputNames.filter((name) => name !== "x");
  const states = new Map<string, State>();
  const busy = new Map<string, Promise<void>>();

  function initialState(): State {
    return Object.fromEntries(stateNames.map((name) => [name, new Tensor("float32", new Float32Array(hidden), [1, 1, hidden])]));
  }

  async function step(stream: string, values: number[], count: number): Promise<Float32Array> {
    const state = states.get(stream) ?? initialState();
    const x = new Tensor("float32", Float32Array.from(values), [count, 1, features]);
    const result = await session.run({ x, ...state });
    states.set(stream, Object.fromEntries(stateNames.map((name) => [name, result[name.replace("_in", "_out")] as Tensor])));
    return result["y"]!.data as Float32Array;
  }

  async function predict(stream: string, batch: Batch): Promise<number[]> {
    if (steps === "all") return Array.from(await step(stream, batch.values, batch.count));
    const outputs: number[] = [];
    for (let i = 0; i < batch.count; i++) {
      outputs.push(...(await step(stream, batch.values.slice(i * features, (i + 1) * features), 1)));
    }
    return outputs;
  }

  async function handle(stream: string, payload: Uint8Array): Promise<void> {
    const batch = SensorBatch.decode(payload);
    const outputs = await predict(stream, batch);
    const prediction = PredictionBatch.encode({
      id: `${stream}/${batch.boot}/${String(batch.firstSequence)}/home-made`,
      stream,
      boot: batch.boot,
      bootNonce: batch.bootNonce,
      firstSequence: batch.firstSequence,
      version: "home-made",
      engine: "onnx",
      count: batch.count,
      firstTimeMs: batch.firstTimeMs,
      timeStepMs: batch.timeStepMs,
      outputs,
    }).finish();
    client.publish(`home-made/prediction/${stream}`, Buffer.from(prediction), { qos: 1 });
  }

  const client = await connectAsync(url);
  client.on("message", (topic, payload) => {
    const stream = topic.split("/")[1]!;
    const before = busy.get(stream);
    const turn = (before === undefined ? handle(stream, payload) : before.then(() => handle(stream, payload))).finally(() => {
      if (busy.get(stream) === turn) busy.delete(stream);
    });
    busy.set(stream, turn);
  });
  await client.subscribeAsync("bench/+/readings", { qos: 1 });
  process.send!("ready");
}

process.once("message", (options: HomeMadeOptions) => void main(options));
process.once("disconnect", () => process.exit(0));
