// What is known of the messages of common devices and gateways: on which topics readings come, in what format, and where time, features
// and units stand. A preset says nothing that a config could not; it saves looking it up.
import { isFields } from "./field-path.ts";
import type { FormatName } from "./message-formats.ts";
import type { TopicRules } from "./topic-pattern.ts";

export interface PresetTopic {
  readonly pattern: string;
  readonly rules: TopicRules;
  readonly format: FormatName;
  /** The path below which features stand; one that begins with `$` counts from the message itself. */
  readonly root?: string;
  /** The path of the time, in any shape. */
  readonly time?: string;
}

export interface Preset {
  readonly topics: readonly PresetTopic[];
  /** Messages carry some of the features: how long the others' last values stand in. */
  readonly holdMs?: number;
  /** The unit of what stands at a path; undefined where the preset does not know. */
  readonly unitOf?: (path: string, document: unknown) => string | undefined;
}

export const presetNames = ["tasmota", "zigbee2mqtt", "shelly", "esphome", "ttn", "chirpstack", "sparkplug"] as const;
export type PresetName = (typeof presetNames)[number];

type Units = Readonly<Record<string, string>>;

const PLAIN: TopicRules = {};
const HOUR_MS = 3_600_000;

/** The last level of a path: what is measured. */
function lastLevel(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

function textField(document: unknown, name: string): string | undefined {
  const value = isFields(document) ? document[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

const TASMOTA_UNITS: Units = {
  Humidity: "%",
  Power: "W",
  ApparentPower: "VA",
  ReactivePower: "var",
  Voltage: "V",
  Current: "A",
  Total: "kWh",
  Today: "kWh",
  Yesterday: "kWh",
  Frequency: "Hz",
  Illuminance: "lx",
  CarbonDioxide: "ppm",
};

/** Temperatures and pressures are in the units that the device is set to, which stand beside them. */
function tasmotaUnit(path: string, document: unknown): string | undefined {
  const name = lastLevel(path);
  if (name === "Temperature" || name === "DewPoint") return textField(document, "TempUnit") ?? "C";
  if (name === "Pressure" || name === "SeaPressure") return textField(document, "PressureUnit") ?? "hPa";
  return TASMOTA_UNITS[name];
}

const ZIGBEE_UNITS: Units = {
  temperature: "°C",
  device_temperature: "°C",
  humidity: "%",
  soil_moisture: "%",
  battery: "%",
  pressure: "hPa",
  power: "W",
  current: "A",
  energy: "kWh",
  co2: "ppm",
  illuminance_lux: "lx",
  ac_frequency: "Hz",
};

function zigbeeUnit(path: string, document: unknown): string | undefined {
  const name = lastLevel(path);
  // A battery's voltage is given in millivolts, the mains' in volts.
  if (name === "voltage") return isFields(document) && Object.hasOwn(document, "battery") ? "mV" : "V";
  return ZIGBEE_UNITS[name];
}

const SHELLY_UNITS: Units = {
  apower: "W",
  voltage: "V",
  current: "A",
  freq: "Hz",
  tC: "°C",
  tF: "°F",
  rh: "%",
  lux: "lx",
  temperature: "°C",
  humidity: "%",
  power: "W",
};

function shellyUnit(path: string): string | undefined {
  const name = lastLevel(path);
  // Energy counters: `aenergy.total` of a switch. Phases of a meter: `a_act_power`, `total_current`.
  if (name === "total" && path.includes("energy")) return "Wh";
  return SHELLY_UNITS[name] ?? SHELLY_UNITS[/_(voltage|current|freq)$/.exec(name)?.[1] ?? ""] ?? meterUnit(name);
}

function meterUnit(name: string): string | undefined {
  if (name.endsWith("_act_power")) return "W";
  if (name.endsWith("_aprt_power")) return "VA";
  return undefined;
}

export const presets: Readonly<Record<PresetName, Preset>> = {
  tasmota: {
    topics: [
      { pattern: "tele/{device}/SENSOR", rules: PLAIN, format: "json", time: "$.Time" },
      { pattern: "tele/{device}/STATE", rules: PLAIN, format: "json", time: "$.Time" },
    ],
    unitOf: tasmotaUnit,
  },
  zigbee2mqtt: {
    topics: [
      {
        pattern: "zigbee2mqtt/#",
        // The bridge's own topics, whether a device is there, and what is said to devices.
        rules: { except: /\/bridge\/|\/(?:availability|set|get)(?:\/|$)/ },
        format: "json",
        time: "$.last_seen",
      },
    ],
    unitOf: zigbeeUnit,
  },
  shelly: {
    topics: [
      { pattern: "{device}/events/rpc", rules: PLAIN, format: "json", root: "$.params", time: "$.params.ts" },
      { pattern: "{device}/status/{component}", rules: PLAIN, format: "json" },
      { pattern: "shellies/{device}/sensor/{feature}", rules: PLAIN, format: "text" },
    ],
    holdMs: HOUR_MS,
    unitOf: shellyUnit,
  },
  esphome: {
    topics: [{ pattern: "{device}/+/{feature}/state", rules: { leavesOwn: true }, format: "text" }],
    holdMs: HOUR_MS,
  },
  ttn: {
    topics: [
      {
        pattern: "v3/{application}/devices/{device}/up",
        rules: PLAIN,
        format: "json",
        root: "$.uplink_message.decoded_payload",
        time: "$.uplink_message.received_at",
      },
    ],
  },
  chirpstack: {
    topics: [
      {
        pattern: "application/{application}/device/{device}/event/up",
        rules: PLAIN,
        format: "json",
        root: "$.object",
        time: "$.time",
      },
    ],
  },
  sparkplug: {
    topics: [
      { pattern: "spBv1.0/{group}/+/{node}", rules: { except: /\/[ND]CMD\// }, format: "sparkplug" },
      { pattern: "spBv1.0/{group}/+/{node}/{device}", rules: { except: /\/[ND]CMD\// }, format: "sparkplug" },
    ],
    holdMs: HOUR_MS,
  },
};
