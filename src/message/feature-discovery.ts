// Learns from a topic's first JSON messages which of their fields measure something: every number but those that count versions, name
// things, or tell of the radio and the battery. It keeps the topics it has seen within bounds, and no payload.
import { limits } from "../base/limits.ts";
import { isFields, readFieldPath } from "./field-path.ts";
import type { FieldPath } from "./field-path.ts";
import { parseFieldTime } from "./field-time.ts";
import { parseJsonPayload } from "./json-payload.ts";
import { PayloadError } from "./payload-error.ts";
import { createTimeZone } from "./time-zone.ts";
import { validateStreamKey } from "./stream-key.ts";

export interface DiscoveredField {
  /** As a config writes it: `temperature`, `AM2301.Temperature`, `$["a.b"].c`; `$` is the message itself. */
  readonly path: string;
  /** It has only ever risen: what is measured is how fast. */
  readonly isCounter: boolean;
}

export interface DiscoveredTopic {
  readonly topic: string;
  /** In the order of their paths; none where the messages measure nothing. */
  readonly fields: readonly DiscoveredField[];
  /** The field that says when; undefined where none does. */
  readonly time: string | undefined;
}

/** What is known of a topic so far. */
interface Sighting {
  readonly firstMs: number;
  messages: number;
  readonly fields: Map<string, { last: number; rises: number; falls: number }>;
  readonly times: Map<string, number>;
}

const MESSAGES_SEEN = 20;
const SEEN_MS = 10 * 60_000;
const FIELDS_MAX = 64;
const DEPTH_MAX = 6;
const DAY_MS = 24 * 3_600_000;
const TIME_FIELDS = ["time", "Time", "timestamp", "ts", "last_seen"];
const ZONE = createTimeZone("UTC");

const NO_MEASUREMENT =
  /^(?:link_?quality|lqi|r?ssi|snr|signal|signal_strength|bat|batt|battery|battery_\w+|\w+_battery|\w*version\w*|\w*firmware\w*|build|id|\w+_id|uu?id|eui|mac|serial\w*|seq|sequence|boot|nonce|msg_?id|mid|f_?port|f_?cnt|up_?time\w*|heap\w*|free_?mem\w*|channel|port|time|timestamp|ts|date|epoch|last_seen|load_?avg|boot_?count|restart_?(?:count|reason))$/i;
const NO_MEASUREMENTS = /^(?:update|wifi|ota|rx_?info|tx_?info|rx_metadata|device_?info|device|settings)$/i;
const COUNTER = /energy|total|count|consumption|volume|_k?wh$/i;

/** A path that reads back as these levels. */
function pathOf(levels: readonly string[]): string {
  const [first] = levels;
  if (levels.length === 1 && first !== undefined && !first.startsWith("$")) return first;
  if (levels.every((level) => /^[^.[\]"$\\]+$/.test(level))) return levels.join(".");
  return `$${levels.map((level) => `[${JSON.stringify(level)}]`).join("")}`;
}

function collect(value: unknown, levels: readonly string[], into: Map<string, number>): void {
  if (typeof value === "number" && Number.isFinite(value)) {
    if (into.size < FIELDS_MAX) into.set(levels.length === 0 ? "$" : pathOf(levels), value);
    return;
  }
  if (!isFields(value) || levels.length >= DEPTH_MAX) return;
  for (const [name, inner] of Object.entries(value)) {
    if (NO_MEASUREMENT.test(name) || NO_MEASUREMENTS.test(name)) continue;
    collect(inner, [...levels, name], into);
  }
}

/** Undefined where it is not JSON. */
function documentOf(payload: Uint8Array): unknown {
  try {
    return parseJsonPayload(payload);
  } catch (thrown) {
    if (thrown instanceof PayloadError) return undefined;
    throw thrown;
  }
}

function fieldsOf(document: unknown): ReadonlyMap<string, number> {
  const fields = new Map<string, number>();
  collect(document, [], fields);
  return fields;
}

/** The measuring fields of a message by path; undefined where it is not JSON. */
export function measuringFields(payload: Uint8Array): ReadonlyMap<string, number> | undefined {
  const document = documentOf(payload);
  return document === undefined ? undefined : fieldsOf(document);
}

function timesOf(document: unknown, wallMs: number): string[] {
  if (!isFields(document)) return [];
  return TIME_FIELDS.filter((name) => {
    const ms = Object.hasOwn(document, name) ? parseFieldTime(document[name], "auto", ZONE) : undefined;
    return ms !== undefined && Math.abs(ms - wallMs) < DAY_MS;
  });
}

export class FeatureDiscovery {
  readonly #sightings = new Map<string, Sighting>();

  /**
   * Takes a message in that came at `nowMs` of a monotonic clock and `wallMs` since 1970; returns what the topic measures once enough of its
   * messages have been seen: 20, or those of 10 minutes. Where a `root` is given, what stands below it measures something and nothing else.
   */
  see(topic: string, payload: Uint8Array, nowMs: number, wallMs: number, root?: FieldPath): DiscoveredTopic | undefined {
    if (validateStreamKey(topic) !== undefined) return undefined;
    let sighting = this.#sightings.get(topic);
    if (sighting === undefined) {
      if (this.#sightings.size >= limits.streamsMax) return undefined;
      sighting = { firstMs: nowMs, messages: 0, fields: new Map(), times: new Map() };
      this.#sightings.set(topic, sighting);
    }
    sighting.messages++;
    const document = documentOf(payload);
    if (document !== undefined) {
      this.#note(sighting, fieldsOf(root === undefined ? document : readFieldPath(root, document)));
      for (const name of timesOf(document, wallMs)) sighting.times.set(name, (sighting.times.get(name) ?? 0) + 1);
    }
    if (sighting.messages < MESSAGES_SEEN && nowMs - sighting.firstMs < SEEN_MS) return undefined;
    this.#sightings.delete(topic);
    return this.#conclude(topic, sighting);
  }

  /** What the topics measure of which too little is known yet, as far as it can be told. */
  conclude(): DiscoveredTopic[] {
    const found = Array.from(this.#sightings, ([topic, sighting]) => this.#conclude(topic, sighting));
    this.#sightings.clear();
    return found;
  }

  #note({ fields: known }: Sighting, fields: ReadonlyMap<string, number>): void {
    for (const [path, value] of fields) {
      const before = known.get(path);
      if (before === undefined) {
        if (known.size < FIELDS_MAX) known.set(path, { last: value, rises: 0, falls: 0 });
        continue;
      }
      if (value > before.last) before.rises++;
      else if (value < before.last) before.falls++;
      before.last = value;
    }
  }

  #conclude(topic: string, { fields, times, messages }: Sighting): DiscoveredTopic {
    const found = Array.from(fields, ([path, { rises, falls }]) => {
      return { path, isCounter: COUNTER.test(path) && falls === 0 && rises > 0 };
    });
    const time = TIME_FIELDS.find((name) => (times.get(name) ?? 0) >= messages / 2);
    return { topic, fields: found.toSorted((a, b) => (a.path < b.path ? -1 : 1)), time };
  }
}
