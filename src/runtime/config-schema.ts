// What a config may say. Every object is strict: a key that is not known is an error, not a wish.
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { fieldTimeShapes } from "../message/field-time.ts";
import { formatNames } from "../message/message-formats.ts";
import { presetNames } from "../message/presets.ts";
import { PLAIN_NAME } from "../message/topics.ts";
import { PUBLIC_KEY_TEXT } from "../message/update-key.ts";
import { durabilityModes } from "../pipeline/durability.ts";
import { budget, duration, size } from "./config-units.ts";
import { dashboardSchema } from "./dashboard-config.ts";

const missing = z.enum(["hold", "mean", "refuse"]);

const fieldPath = z.string().min(1);

/** Where a feature stands in a message, and what makes its value out of what stands there. */
const field = z.union([
  fieldPath,
  z.strictObject({
    /** The feature's name where absent. */
    path: fieldPath.optional(),
    scale: z.number().default(1),
    offset: z.number().default(0),
    /** Of the value, scaled: it is converted to the model's. */
    unit: z.string().min(1).optional(),
    /** Texts that stand for numbers. */
    values: z.record(z.string(), z.number()).default({}),
    /** Numbers that stand for a missing value. */
    missing: z.array(z.number()).default([]),
    /** It is a counter: how much it grows a second is the feature. */
    rate: z.boolean().default(false),
  }),
]);

const topic = z.string().min(1);

const group = z.strictObject({
  name: z.string().regex(PLAIN_NAME, "expected 1 to 64 of the characters A-Za-z0-9._-"),
  /** `sensors/{device}/readings`: the captures name the stream. */
  topic: z.union([topic, z.array(topic).min(1).max(limits.groupTopicsMax)]).optional(),
  /** Whose messages they are: it says topic, codec, and where time and features stand. */
  preset: z.enum(presetNames).optional(),
  codec: z.enum(formatNames).optional(),
  /** What `hiddenstate proto compile` wrote, relative to the config; for `codec: proto`. */
  schema: z.string().min(1).optional(),
  /** The model file, relative to the config; without one the streams learn by themselves. */
  model: z.string().min(1).optional(),
  engine: z.enum(["auto", "native", "onnx"]).default("auto"),
  /** The native engine's; the fastest that runs here unless given. */
  kernel: z.enum(["relaxed", "plain", "scalar"]).optional(),
  /** How many readings ahead to forecast, rising: without a model what is learned, with one by rolling it forward. */
  horizons: z.array(z.int().min(1).max(limits.horizonMax)).min(1).max(8).optional(),
  /** Without a model: whether each stream learns a network of its own, as where this is absent, or all streams of the group one together. */
  scope: z.enum(["stream", "group"]).optional(),
  /** The payload's names of the model's features, in the model's order; or by feature where it stands in a message. */
  features: z.union([z.array(fieldPath).min(1).max(limits.featuresMax), z.record(z.string(), field)]).optional(),
  /** Where the time stands and what it counts; `none`: the time of arrival. */
  time: z.union([fieldPath, z.strictObject({ path: fieldPath, unit: z.enum(fieldTimeShapes).default("auto") })]).optional(),
  /** The comma in a text is a decimal sign. */
  decimalComma: z.boolean().default(false),
  /** Of CSV lines, in their order. */
  columns: z.array(z.string().min(1)).min(1).max(limits.csvColumnsMax).optional(),
  gap: z.union([z.enum(["carry", "reset"]), z.strictObject({ decay: duration })]).default("carry"),
  missing: z.union([missing, z.record(z.string(), missing)]).default("hold"),
  /** Messages carry some of the features: a value is held for this long, and readings that lack others are kept. */
  holdFor: duration.optional(),
  /** The features that a reading must bring one of to be a step. */
  stepOn: z.array(fieldPath).min(1).optional(),
  holdReadings: z.int().min(0).max(250).default(limits.holdReadingsMax),
  /** What happens to the states when the model changes. */
  switch: z.enum(["replay", "carry", "reset"]).default("replay"),
  /** By feature: the least and the greatest value that is a measurement. */
  range: z.record(z.string(), z.tuple([z.number(), z.number()])).default({}),
  /** Wait for readings that come late: at most so many of a stream, for at most so long. */
  reorder: z.strictObject({ readings: z.int().min(1).max(limits.heldReadingsMax), within: duration }).optional(),
  /** What a stream may send: so many readings a second, and so many at once. More is refused. */
  rate: z.strictObject({ perSecond: z.number().positive(), burst: z.number().min(1) }).optional(),
  /** Say how unlikely each reading is, and raise alarms: about so many false ones. */
  score: z.strictObject({ budget: budget.prefault("1/week") }).optional(),
  /** Fine-tune the model on the group's own readings, and take what proves better. */
  learn: z
    .strictObject({
      every: z.union([duration, z.literal("never")]).default(limits.learningEveryMs),
      drift: z.boolean().default(true),
      readings: z.int().min(100).max(limits.learningRowsMax).default(limits.learningReadings),
    })
    .optional(),
  predictions: z
    .strictObject({ format: z.enum(["protobuf", "json"]).default("json"), latest: z.boolean().default(false) })
    .prefault({}),
});

export const configSchema = z.strictObject({
  /** This box's name in topics. */
  node: z.string().regex(PLAIN_NAME, "expected 1 to 64 of the characters A-Za-z0-9._-"),
  /** The state directory, relative to the config. */
  state: z.string().min(1),
  /** Of times in messages that name no zone. */
  timezone: z.string().default("UTC"),
  log: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  mqtt: z.strictObject({
    url: z.string().regex(/^mqtts?:\/\/[^/]+$/, "expected mqtt://host:port or mqtts://host:port"),
    /** Must be this runtime's alone; two clients of one id push each other out. */
    clientId: z.string().min(1).max(64).optional(),
    username: z.string().optional(),
    /** A file whose first line is the password, or the environment variable that holds it. */
    passwordFile: z.string().min(1).optional(),
    passwordEnv: z.string().min(1).optional(),
    /** PEM files, relative to the config: who may sign the broker's certificate, and who we are. */
    tls: z
      .strictObject({
        ca: z.string().min(1).optional(),
        cert: z.string().min(1).optional(),
        key: z.string().min(1).optional(),
        /** False is taken only by `hiddenstate run --dev`. */
        verify: z.boolean().default(true),
      })
      .optional(),
    /** Plain MQTT to another machine: whoever is on the way reads and writes along. */
    allowInsecure: z.boolean().default(false),
    protocol: z.union([z.literal("auto"), z.literal(4), z.literal(5)]).default("auto"),
    keepalive: duration.default(limits.keepaliveSeconds * 1000),
    /** How long the broker keeps messages for us while we are away. */
    sessionExpiry: duration.default(limits.sessionExpirySeconds * 1000),
  }),
  durability: z
    .strictObject({
      mode: z.enum(durabilityModes).default("strict"),
      /** How long events wait for others to share a write. Where absent: 250 ms on a flash card, else 0. */
      linger: duration.optional(),
      /** After damage to the journal: go on with what is left and say so, or do not start. */
      onDamage: z.enum(["continue", "stop"]).default("continue"),
    })
    .prefault({}),
  /** Announce streams to Home Assistant, and where it looks for them. */
  homeAssistant: z
    .union([z.boolean(), z.strictObject({ prefix: z.string().regex(/^[^+#/]+(\/[^+#/]+)*$/, "expected plain topic levels") })])
    .default(false),
  /** Retain below hiddenstate/<node> that this runtime is there, how it is doing, and which streams it has. */
  bridge: z.boolean().default(true),
  /** What is kept of the journal for learning once recovery no longer needs it. */
  history: z.strictObject({ bytes: size.default(limits.historyBytes), age: duration.default(limits.historyAgeMs) }).prefault({}),
  /** What learning may take of the box. */
  learning: z
    .strictObject({
      /** Of one core. */
      cpu: z.number().min(0.01).max(1).default(0.25),
      temperatureFile: z.string().min(1).default("/sys/class/thermal/thermal_zone0/temp"),
      /** Degrees Celsius. */
      temperatureMax: z.number().min(20).max(150).default(80),
      /** Hold a challenger to the parity measure before it is put in force, which takes onnxruntime-node. */
      verify: z.boolean().default(true),
    })
    .prefault({}),
  /** Take models that come over MQTT, signed by one of these keys; none are taken where this is absent. */
  updates: z
    .strictObject({
      /** By a name of yours: what `hiddenstate keys new` printed. */
      keys: z
        .record(
          z.string().regex(PLAIN_NAME, "expected 1 to 64 of the characters A-Za-z0-9._- as a key's name"),
          z.string().regex(PUBLIC_KEY_TEXT, "expected the 44 characters of a public key that hiddenstate keys new prints"),
        )
        .refine((keys) => Object.keys(keys).length >= 1, "expected at least one key")
        .refine((keys) => Object.keys(keys).length <= limits.updateKeysMax, `expected at most ${limits.updateKeysMax} keys`),
      /** Hold a model to the parity measure before it is put in force, which takes onnxruntime-node. */
      verify: z.boolean().default(true),
    })
    .optional(),
  commands: z.strictObject({ mqtt: z.boolean().default(false) }).prefault({}),
  streams: z
    .strictObject({
      max: z.int().min(1).max(limits.streamRowsMax).default(limits.streamsMax),
      expireAfter: duration.default(limits.streamExpiryMs),
    })
    .prefault({}),
  /** A page, /metrics and /healthz over HTTP; nothing listens where this is absent. */
  dashboard: dashboardSchema.optional(),
  groups: z.array(group).min(1).max(limits.groupsMax),
});

/** Where Home Assistant looks for devices; undefined where streams are not announced. */
export function homeAssistantPrefix({ homeAssistant }: Config): string | undefined {
  if (typeof homeAssistant === "object") return homeAssistant.prefix;
  return homeAssistant ? "homeassistant" : undefined;
}

/** A config as one writes it: what is in docs/config.md, with its defaults left out. Durations and sizes are texts: `30s`, `256MiB`. */
export type ConfigObject = Omit<z.input<typeof configSchema>, "mqtt"> & Partial<Pick<z.input<typeof configSchema>, "mqtt">>;
/** A config that has been checked, with every default in place. */
export type Config = z.output<typeof configSchema>;
/** What stands for a broker in the config of a runtime that is fed by the program around it. */
export const NO_BROKER = { url: "mqtt://in-process", allowInsecure: true };

export type GroupConfig = Config["groups"][number];
