// What a topic is to this node: readings of a group, a device's layout, a command, or nothing. The answer for a topic never changes,
// so it is remembered.
import { limits } from "../base/limits.ts";
import type { MessageOrigin, PayloadDecoder } from "../message/payload-codec.ts";
import type { TopicPattern } from "../message/topic-pattern.ts";
import { commandOf } from "../message/topics.ts";
import type { RateLimit } from "./rate-limit.ts";
import { RecentMap } from "./recent-map.ts";
import type { ReorderBounds } from "./reorder.ts";

/** How the messages of a group are read and what is refused; none of it changes how an accepted reading is stepped. */
export interface Entry {
  /** The group's place in the epoch's settings. */
  readonly group: number;
  readonly pattern: TopicPattern;
  readonly codec: PayloadDecoder;
  /** In the model's order. */
  readonly features: readonly string[];
  /** `(D)`: a value outside is refused. */
  readonly min: Float64Array;
  readonly max: Float64Array;
  /** Absent: what comes late is a gap, and then a duplicate. */
  readonly reorder: ReorderBounds | undefined;
  /** Absent: a stream may send as much as it likes. */
  readonly rate: RateLimit | undefined;
  /** `(D)`: a reading without any of these is kept, not stepped. Absent: whatever a reading brings. */
  readonly stepOn: readonly boolean[] | undefined;
}

/** A topic of readings. A group has an entry for each of its topic patterns. */
export interface ReadingsRoute extends MessageOrigin {
  readonly kind: "readings";
  readonly entry: Entry;
}

export type Route =
  | ReadingsRoute
  | { readonly kind: "layout" }
  /** It came along with a kind of device's readings, and is none. */
  | { readonly kind: "passedOver" }
  | { readonly kind: "command"; readonly name: string }
  | { readonly kind: "unknown" };

export class Routes {
  readonly #node: string;
  readonly #entries: readonly Entry[];
  readonly #commands: boolean;
  readonly #known: RecentMap<string, Route>;

  constructor(node: string, entries: readonly Entry[], options: { commands: boolean; streamsMax: number }) {
    this.#node = node;
    this.#entries = entries;
    this.#commands = options.commands;
    this.#known = new RecentMap(options.streamsMax + limits.layoutsMax);
  }

  find(topic: string): Route {
    let route = this.#known.get(topic);
    if (route === undefined) this.#known.set(topic, (route = this.#judge(topic)));
    return route;
  }

  /** How the messages of a group are read; undefined for one that the config no longer names. */
  entryOf(group: number): Entry | undefined {
    return this.#entries.find((entry) => entry.group === group);
  }

  #judge(topic: string): Route {
    const command = this.#commands ? commandOf(this.#node, topic) : undefined;
    if (command !== undefined) return { kind: "command", name: command };
    for (const entry of this.#entries) {
      const key = entry.pattern.match(topic);
      if (key !== undefined) return { kind: "readings", entry, key, topic, feature: entry.pattern.featureOf(topic) };
      if (entry.codec.name === "protobuf" && entry.pattern.matchLayout(topic) !== undefined) return { kind: "layout" };
    }
    if (this.#entries.some(({ pattern }) => pattern.leavesOut(topic))) return { kind: "passedOver" };
    return { kind: "unknown" };
  }
}
