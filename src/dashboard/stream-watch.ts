// The last readings of the streams that somebody has open: taken as they are released, kept in rings of bounded length, and handed to the
// browsers four times a second. Whatever is too much for that is thinned; gaps and alarms never are.
import type { Clock, Timer } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { ReadingsEvent } from "../journal/events.ts";
import { decodeAlarm } from "../message/alarm.ts";
import type { Alarm } from "../message/alarm.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { ReleasedReadings, ReleaseObserver } from "../pipeline/release-observer.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { EventClient } from "./http-server.ts";
import { aboutOf, nowOf, shownOf } from "./stream-about.ts";
import type { Shown } from "./stream-about.ts";

/** One reading, as the page draws it. Numbers that JSON has no word for are null. */
export interface Point {
  readonly time: number;
  readonly sequence: number;
  /** Sequence numbers left out before it. */
  readonly missed: number;
  /** By shown feature; null where the value was missing. */
  readonly values: readonly (number | null)[];
  /** By shown output. */
  readonly outputs: readonly (number | null)[];
  readonly score?: number;
  readonly alarm?: boolean;
}

interface Watch {
  readonly stream: string;
  readonly clients: Set<EventClient>;
  /** Whose its readings were. Another group, or one on another model, begins anew. */
  group: StreamGroup;
  shown: Shown;
  /** The last that opened or closed while it was watched. */
  alarm: Alarm | undefined;
  points: Point[];
  /** Of `points`, those at the end that no browser has got yet. */
  fresh: number;
  /** Readings left out of the last update. */
  thinned: number;
  leftAtMs: number;
}

const SECONDS_PER_FACTS = 1;

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function pointsOf(event: ReadingsEvent, shown: Shown, modelOutputs: number): Point[] {
  const { count, features: D, values, missing, outputs, times } = event;
  const width = outputs.length / count;
  let sequence = event.firstSequence - 1 - (event.skipped?.[0] ?? 0);
  return Array.from({ length: count }, (_, i): Point => {
    const missed = event.skipped?.[i] ?? 0;
    sequence += missed + 1;
    const scores =
      width > modelOutputs
        ? { score: outputs[i * width + modelOutputs]!, alarm: outputs[i * width + modelOutputs + 1]! > 0 }
        : {};
    return {
      time: times[i]!,
      sequence,
      missed,
      values: shown.features.map((d) => (missing?.[i * D + d] === 1 ? null : finite(values[i * D + d]!))),
      outputs: shown.outputs.map((o) => finite(outputs[i * width + o]!)),
      ...scores,
    };
  });
}

/** At most so many of the points, evenly, and with them all that say something of their own. */
export function thin(points: readonly Point[], max: number): readonly Point[] {
  if (points.length <= max) return points;
  const step = points.length / max;
  let next = 0;
  return points.filter((point, i) => {
    const isTurn = i >= next;
    if (isTurn) next += step;
    return isTurn || point.missed > 0 || point.alarm !== points[i - 1]?.alarm || i === points.length - 1;
  });
}

export class StreamWatch implements ReleaseObserver {
  readonly #fold: Fold;
  readonly #clock: Clock;
  readonly #onAlarm: (alarm: Alarm) => void;
  readonly #watches = new Map<string, Watch>();
  #timer: Timer | undefined;
  #turn = 0;

  constructor(fold: Fold, clock: Clock, onAlarm: (alarm: Alarm) => void) {
    this.#fold = fold;
    this.#clock = clock;
    this.#onAlarm = onAlarm;
  }

  wants(stream: string, event: ReadingsEvent): boolean {
    return event.alarms.length > 0 || (this.#watches.size > 0 && this.#watches.has(stream));
  }

  released({ stream, event }: ReleasedReadings): void {
    for (const alarm of event.alarms) this.#noteAlarm(stream, alarm);
    const watch = this.#watches.get(stream);
    const group = this.#fold.groups[event.group];
    if (watch === undefined || group === undefined) return;
    if (watch.group !== group) this.#begin(watch, group);
    const points = pointsOf(event, watch.shown, group.model.spec.outputs.length);
    watch.points.push(...points);
    watch.fresh += points.length;
    // A chart of a fast stream is cut while it grows, so that one update never holds more than it may.
    if (watch.points.length > 2 * limits.dashboardPointsMax) {
      watch.points = watch.points.slice(-limits.dashboardPointsMax);
      watch.thinned += Math.max(0, watch.fresh - watch.points.length);
      watch.fresh = Math.min(watch.fresh, watch.points.length);
    }
  }

  #begin(watch: Watch, group: StreamGroup): void {
    watch.group = group;
    watch.shown = shownOf(group);
    watch.points = [];
    watch.fresh = 0;
    for (const client of watch.clients) client.send("about", aboutOf(watch.stream, group));
  }

  #noteAlarm(stream: string, bytes: Uint8Array): void {
    const alarm = decodeAlarm(bytes);
    this.#onAlarm(alarm);
    const watch = this.#watches.get(stream);
    if (watch === undefined) return;
    watch.alarm = alarm;
    for (const client of watch.clients) client.send("alarm", alarm);
  }

  /** Sends a browser what there is of a stream and what comes. Returns false where too many streams are open. */
  add(stream: string, client: EventClient): boolean {
    const ref = this.#fold.find(stream);
    if (ref === undefined) return client.send("gone", { stream });
    let watch = this.#watches.get(stream);
    if (watch === undefined) {
      if (!this.#makeRoom()) return false;
      const shown = shownOf(ref.group);
      const none = { alarm: undefined, points: [], fresh: 0, thinned: 0, leftAtMs: 0 };
      watch = { stream, clients: new Set(), group: ref.group, shown, ...none };
      this.#watches.set(stream, watch);
    }
    const opened = watch;
    this.#update(opened);
    opened.clients.add(client);
    client.whenClosed(() => {
      opened.clients.delete(client);
      opened.leftAtMs = this.#clock.monotonicMs();
    });
    client.send("about", aboutOf(stream, ref.group));
    client.send("points", {
      points: thin(opened.points.slice(-limits.dashboardPointsMax), limits.dashboardPointsMax),
      leftOut: 0,
    });
    if (opened.alarm !== undefined) client.send("alarm", opened.alarm);
    this.#sendNow(opened, [client]);
    this.#run();
    return true;
  }

  /** Forgets the stream that has been left for longest where there are too many; false where all are watched. */
  #makeRoom(): boolean {
    if (this.#watches.size < limits.dashboardStreamsMax) return true;
    const left = [...this.#watches.values()].filter(({ clients }) => clients.size === 0);
    const [oldest] = left.toSorted((a, b) => a.leftAtMs - b.leftAtMs);
    if (oldest === undefined) return false;
    return this.#watches.delete(oldest.stream);
  }

  #run(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#clock.after(
      limits.dashboardUpdateMs,
      () => {
        this.#timer = undefined;
        this.#tick();
        if (this.#watches.size > 0) this.#run();
      },
      { background: true },
    );
  }

  #tick(): void {
    this.#turn++;
    const isTurnOfFacts = this.#turn % Math.round((SECONDS_PER_FACTS * 1000) / limits.dashboardUpdateMs) === 0;
    for (const watch of this.#watches.values()) {
      if (watch.clients.size === 0) {
        if (this.#clock.monotonicMs() - watch.leftAtMs > limits.dashboardForgetMs) this.#watches.delete(watch.stream);
        continue;
      }
      this.#update(watch);
      if (isTurnOfFacts) this.#sendNow(watch, watch.clients);
    }
  }

  /** Sends what has come since the last update. */
  #update(watch: Watch): void {
    if (watch.fresh === 0) return;
    const fresh = watch.points.slice(-watch.fresh);
    const points = thin(fresh, limits.dashboardPointsPerUpdateMax);
    const leftOut = fresh.length - points.length + watch.thinned;
    watch.points = [...watch.points.slice(0, -watch.fresh), ...points].slice(-limits.dashboardPointsMax);
    watch.fresh = 0;
    watch.thinned = 0;
    for (const client of watch.clients) client.send("points", { points, leftOut });
  }

  #sendNow(watch: Watch, clients: Iterable<EventClient>): void {
    const now = nowOf(this.#fold, watch.stream);
    for (const client of clients) {
      if (now === undefined) client.send("gone", { stream: watch.stream });
      else client.send("now", { at: this.#clock.wallMs(), ...now });
    }
  }

  close(): void {
    this.#timer?.cancel();
  }
}
