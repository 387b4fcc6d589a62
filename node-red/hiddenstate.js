// The Node-RED node: readings in, predictions and alarms out. Each node is a runtime of its own in Node-RED's process, fed by a DirectLink, so
// that streams go on over restarts and crashes by the runtime's journal and nothing else. It knows no broker.
"use strict";
const path = require("node:path");

const PREDICTIONS = "hiddenstate/node-red/prediction/";
const ALARMS = "hiddenstate/node-red/alarm/";
const DEAD_LETTERS = "hiddenstate/node-red/dead-letter";
const STREAM_BYTES_MAX = 128;

/** Words of a text between commas. */
function words(text) {
  return String(text ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** A value as its feature: numbers, and what Node-RED's other nodes make of numbers. */
function valueOf(name, value) {
  if (value === null || value === undefined) return null;
  const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
  if (typeof value === "object" || !Number.isFinite(number)) {
    throw new Error(
      `cannot read the message: ${name} is ${JSON.stringify(value)}, and a number is expected, or null where it is missing`,
    );
  }
  return number;
}

/** The reading in a payload: an object by the features' names, or a single value where there is one feature. */
function readingOf(payload, features) {
  if (typeof payload === "object" && payload !== null && !Array.isArray(payload) && !Buffer.isBuffer(payload)) {
    const reading = Object.fromEntries(features.map((name) => [name, valueOf(name, payload[name])]));
    return payload.time === undefined ? reading : { ...reading, time: payload.time };
  }
  if (features.length !== 1) {
    const names = features.join(", ");
    throw new Error(
      `cannot read the message: msg.payload must be an object with ${names}, since the node has more features than one`,
    );
  }
  return { [features[0]]: valueOf("msg.payload", Buffer.isBuffer(payload) ? payload.toString() : payload) };
}

/** The topic that stands for a stream: any text, as one level. */
function topicOf(stream) {
  const key = encodeURIComponent(stream);
  if (key.length > STREAM_BYTES_MAX) {
    throw new Error(
      `cannot read the message: msg.topic takes ${key.length} bytes as a stream's name, at most ${STREAM_BYTES_MAX} are allowed`,
    );
  }
  return { key, topic: `in/${key}` };
}

/** One line for a log of Node-RED. */
function lineOf(text, fields) {
  return fields === undefined ? text : `${text} ${JSON.stringify(fields)}`;
}

/** What leaves for Node-RED where the runtime publishes a prediction: of one reading, for each message here holds one. */
function predictionMessage(prediction) {
  const { score, alarm, ...outputs } = Object.fromEntries(
    Object.entries(prediction.outputs).map(([name, [value]]) => [name, value]),
  );
  const { id, sequence, version, times } = prediction;
  const scored = score === undefined ? {} : { score, alarm: alarm > 0 };
  return { topic: decodeURIComponent(prediction.stream), payload: outputs, ...scored, time: times[0], id, sequence, version };
}

/** The config of the node's runtime. */
function configOf(node, userDir, { model, budget }, features) {
  const group = {
    name: "readings",
    topic: "in/{stream}",
    codec: "json",
    features,
    ...(model ? { model } : {}),
    ...(budget ? { score: { budget } } : {}),
  };
  const state = path.join(userDir, "hiddenstate", node.id.replace(/[^A-Za-z0-9._-]/g, "_"));
  return { node: "node-red", state, bridge: false, groups: [group] };
}

/** The runtime of one node. */
class NodeRuntime {
  constructor(RED, node, config) {
    this.node = node;
    this.settings = RED.settings;
    this.events = RED.events;
    this.pending = new Set();
    this.begun = false;
    this.stopping = false;
    node.status({ fill: "grey", shape: "ring", text: "starting" });
    // What the last run could not hand on any more would find nobody before the other nodes are there.
    this.started = new Promise((begun, failed) => {
      this.begin = () => {
        this.begun = true;
        this.start(config).then(begun, failed);
      };
    });
    this.events.once("flows:started", this.begin);
    this.started.catch((error) => this.fail(error));
    this.order = this.started.catch(() => {});
    node.on("input", (msg, _send, done) => this.take(msg, done));
    node.on("close", (_removed, done) => this.end(done));
  }

  async start(config) {
    const { createRuntime, defineConfig, DirectLink, loadModel, systemDisk } = await import("hiddenstate");
    const { userDir } = this.settings;
    this.features = words(config.features);
    if (this.features.length === 0) {
      if (!config.model) throw new Error("cannot start: neither features nor a model are named; name one of them");
      const { spec } = await loadModel(systemDisk, path.resolve(userDir, config.model));
      this.features = spec.features.map(({ name }) => name);
    }
    this.link = new DirectLink((message) => this.hand(message));
    const { node } = this;
    const log = {
      debug: (text, fields) => node.trace(lineOf(text, fields)),
      info: (text, fields) => node.debug(lineOf(text, fields)),
      warn: (text, fields) => node.warn(lineOf(text, fields)),
      error: (text, fields) => node.error(lineOf(text, fields)),
    };
    const checked = defineConfig(configOf(node, userDir, config, this.features), userDir);
    const runtime = await createRuntime(checked, { ports: this.link.ports, log });
    runtime.failed.catch((error) => {
      this.fail(error);
      // What waits is refused then, so that Node-RED learns of it.
      runtime.stop().catch((thrown) => node.error(thrown.message));
    });
    node.status({ fill: "green", shape: "dot", text: "running" });
    return runtime;
  }

  fail(error) {
    if (this.stopping) return;
    this.node.status({ fill: "red", shape: "ring", text: error.message.slice(0, 60) });
    this.node.error(error.message);
  }

  /** Messages have their turns in the order in which they come; `done` is called once what a message asks for is durable. */
  take(msg, done) {
    this.order = this.order.then(() => this.turn(msg, done));
  }

  /** Ends when the message has been handed to the runtime, so that those behind it may share its sync. */
  async turn(msg, done) {
    try {
      const runtime = await this.started;
      const { key, topic } = topicOf(typeof msg.topic === "string" && msg.topic !== "" ? msg.topic : "stream");
      if (msg.reset === undefined || msg.reset === false) {
        const reading = JSON.stringify(readingOf(msg.payload, this.features));
        void this.settle(this.link.publish(topic, reading), done);
      } else {
        await this.reset(runtime, key);
        done();
      }
    } catch (error) {
      done(error);
    }
  }

  async settle(settled, done) {
    this.pending.add(settled);
    const refused = await settled.then(
      () => undefined,
      (error) => error,
    );
    this.pending.delete(settled);
    done(refused);
  }

  /** Puts a stream's hidden state back, after the readings before it. A stream that is not there has nothing to forget. */
  async reset(runtime, key) {
    await Promise.allSettled(this.pending);
    try {
      await runtime.resetState(key);
    } catch (error) {
      if (error.code !== "unknown_stream") throw error;
    }
  }

  /** Takes what the runtime publishes. */
  hand({ topic, payload }) {
    // An empty payload clears what a broker would have kept.
    if (payload.length === 0) return;
    const content = JSON.parse(Buffer.from(payload).toString());
    if (topic.startsWith(PREDICTIONS)) {
      this.node.send([predictionMessage(content), null]);
    } else if (topic.startsWith(ALARMS)) {
      const stream = decodeURIComponent(content.stream);
      this.node.send([null, { topic: stream, payload: { ...content, stream } }]);
    } else if (topic === DEAD_LETTERS) {
      this.node.warn(`a reading was refused: ${content.detail}`);
    }
  }

  async end(done) {
    this.stopping = true;
    this.events.removeListener("flows:started", this.begin);
    try {
      // A start under way is waited for: it holds the state directory.
      if (this.begun) await (await this.started.catch(() => undefined))?.stop();
      done();
    } catch (error) {
      done(error);
    }
  }
}

module.exports = (RED) => {
  function HiddenstateNode(config) {
    RED.nodes.createNode(this, config);
    this.runtime = new NodeRuntime(RED, this, config);
  }
  RED.nodes.registerType("hiddenstate", HiddenstateNode);
};
