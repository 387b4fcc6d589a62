// The list of streams, searched, sorted and cut into windows here, so that a browser never holds all of them. Long lists are gone through
// in slices, between which readings have their turn, and what was found serves everyone who asks the same within a second.
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Fold, StreamRef } from "../pipeline/fold.ts";

export const listOrders = ["name", "silent", "readings"] as const;
export type ListOrder = (typeof listOrders)[number];

export interface ListQuery {
  /** Part of a stream's key or its group's name, in any case. */
  readonly search: string;
  readonly order: ListOrder;
  readonly alarmsOnly: boolean;
}

export interface ListRow {
  readonly stream: string;
  readonly group: string;
  readonly steps: number;
  /** When the last reading came, by the box's clock. */
  readonly receivedAt: number;
  /** One is open and not muted. */
  readonly alarm: boolean;
  readonly muted: boolean;
}

export interface ListWindow {
  /** Of all. */
  readonly streams: number;
  readonly alarms: number;
  /** That the search found. */
  readonly found: number;
  readonly from: number;
  readonly rows: readonly ListRow[];
}

interface Found {
  readonly refs: readonly StreamRef[];
  readonly streams: number;
  readonly alarms: number;
  readonly atMs: number;
}

const FRESH_MS = 1000;
const QUERIES_KEPT = 16;

function isAlarming({ group, row }: StreamRef): boolean {
  return group.scores?.isRaised(row) ?? false;
}

function keyOf({ group, row }: StreamRef): string {
  return group.columns.keys[row] ?? "";
}

const comparisons: Readonly<Record<ListOrder, (a: StreamRef, b: StreamRef) => number>> = {
  name: (a, b) => (keyOf(a) < keyOf(b) ? -1 : 1),
  silent: (a, b) => a.group.columns.receivedAt[a.row]! - b.group.columns.receivedAt[b.row]!,
  readings: (a, b) => b.group.columns.steps[b.row]! - a.group.columns.steps[a.row]!,
};

export class StreamList {
  readonly #fold: Fold;
  readonly #clock: Clock;
  readonly #found = new Map<string, Promise<Found>>();

  constructor(fold: Fold, clock: Clock) {
    this.#fold = fold;
    this.#clock = clock;
  }

  /** At most `limits.dashboardRowsMax` rows, from the `from`th that was found. */
  async window(query: ListQuery, from: number, count: number): Promise<ListWindow> {
    const { refs, streams, alarms } = await this.#fresh(query);
    const nowMs = this.#clock.wallMs();
    const rows = refs.slice(from, from + Math.min(count, limits.dashboardRowsMax)).flatMap((ref): ListRow[] => {
      const { columns, settings, scores } = ref.group;
      const stream = columns.keys[ref.row];
      // It may have gone since it was found.
      if (stream === undefined) return [];
      const [steps, receivedAt] = [columns.steps[ref.row]!, columns.receivedAt[ref.row]!];
      const muted = (scores?.notes.mutedUntil(ref.row) ?? 0) > nowMs;
      return [{ stream, group: settings.name, steps, receivedAt, alarm: isAlarming(ref), muted }];
    });
    return { streams, alarms, found: refs.length, from, rows };
  }

  /** Streams with an open alarm that is not muted. */
  async alarms(): Promise<number> {
    return (await this.#fresh({ search: "", order: "name", alarmsOnly: true })).alarms;
  }

  async #fresh(query: ListQuery): Promise<Found> {
    const name = JSON.stringify(query);
    const known = await this.#found.get(name);
    if (known !== undefined && this.#clock.monotonicMs() - known.atMs < FRESH_MS) return known;
    const found = this.#find(query);
    this.#found.delete(name);
    this.#found.set(name, found);
    if (this.#found.size > QUERIES_KEPT) this.#found.delete(this.#found.keys().next().value!);
    return found;
  }

  async #find({ search, order, alarmsOnly }: ListQuery): Promise<Found> {
    const wanted = search.toLowerCase();
    const refs: StreamRef[] = [];
    let [streams, alarms] = [0, 0];
    for (const [key, ref] of this.#fold.streams()) {
      streams++;
      if (streams % limits.dashboardScanMax === 0) await new Promise<void>((resume) => this.#clock.soon(resume));
      const alarming = isAlarming(ref);
      if (alarming) alarms++;
      if (alarmsOnly && !alarming) continue;
      if (wanted === "" || key.toLowerCase().includes(wanted) || ref.group.settings.name.toLowerCase().includes(wanted))
        refs.push(ref);
    }
    // Sorting cannot be cut into slices; beyond this the order is that in which the streams first came.
    if (refs.length <= limits.dashboardScanMax) refs.sort(comparisons[order]);
    return { refs, streams, alarms, atMs: this.#clock.monotonicMs() };
  }
}
