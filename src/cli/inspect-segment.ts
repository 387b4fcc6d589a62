// The events of one journal segment, one line each. Rows have names only in the events that gave them: those of the same journal's other
// segments are read too, and where none says it, the state directory.
import type { Disk } from "../base/disk.ts";
import type { JournalEvent } from "../journal/events.ts";
import { readHistory } from "../journal/read-history.ts";
import { readSegment } from "../journal/read-segment.ts";
import type { SegmentReport } from "../journal/read-segment.ts";
import type { SegmentHeader } from "../journal/segment.ts";
import { budgetText } from "../score/budget.ts";

const VALUES_SHOWN = 8;

/** What an event says of a row's name. */
interface Naming {
  readonly position: number;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Which stream a row was at a position. */
export class RowNames {
  readonly #changes = new Map<string, Naming[]>();
  /** At the journal's end. */
  readonly #last: ReadonlyMap<string, string>;

  private constructor(last: ReadonlyMap<string, string>) {
    this.#last = last;
  }

  /** `last`: names by `<group>/<row>` at the journal's end. */
  static async read(disk: Disk, directory: string, last: ReadonlyMap<string, string>): Promise<RowNames> {
    const names = new RowNames(last);
    await readHistory(disk, directory, 0, (event, position) => names.note(event, position));
    return names;
  }

  note(event: JournalEvent, position: number): void {
    if (event.kind === "streamAdded") this.#add(event, { position, before: undefined, after: event.key });
    if (event.kind === "streamRemoved") this.#add(event, { position, before: event.key, after: undefined });
    if (event.kind === "streamRenamed") this.#add(event, { position, before: event.from, after: event.key });
  }

  #add({ group, row }: { readonly group: number; readonly row: number }, naming: Naming): void {
    const place = `${group}/${row}`;
    const known = this.#changes.get(place);
    if (known === undefined) this.#changes.set(place, [naming]);
    else if (known.at(-1)!.position < naming.position) known.push(naming);
  }

  at(group: number, row: number, position: number): string | undefined {
    const place = `${group}/${row}`;
    const changes = this.#changes.get(place) ?? [];
    const index = changes.findLastIndex((change) => change.position <= position);
    if (index >= 0) return changes[index]!.after ?? changes[index]!.before;
    return changes.length > 0 ? changes[0]!.before : this.#last.get(place);
  }
}

/** One event with what `inspect` says of it. */
export interface ShownEvent {
  readonly position: number;
  readonly stream: string | undefined;
  readonly event: JournalEvent;
}

export interface SegmentView {
  readonly shown: readonly ShownEvent[];
  /** That were asked for, shown or not. */
  readonly matching: number;
  /** Of the whole segment, by kind. */
  readonly kinds: ReadonlyMap<JournalEvent["kind"], number>;
  readonly report: SegmentReport;
}

export interface EventChoice {
  /** 0: all. */
  readonly limit: number;
  /** A key, or `<group>/<row>` of one that nothing names. */
  readonly stream: string | undefined;
}

/** Views of a segment's bytes are only good for as long as those are kept. */
export async function viewSegment(
  bytes: Uint8Array,
  header: SegmentHeader,
  names: RowNames,
  { limit, stream }: EventChoice,
): Promise<SegmentView> {
  const shown: ShownEvent[] = [];
  const kinds = new Map<JournalEvent["kind"], number>();
  let matching = 0;
  const report = await readSegment(bytes, header, Infinity, 0, (event, position) => {
    kinds.set(event.kind, (kinds.get(event.kind) ?? 0) + 1);
    names.note(event, position);
    const of = "row" in event ? (names.at(event.group, event.row, position) ?? `${event.group}/${event.row}`) : undefined;
    if (stream !== undefined && of !== stream) return;
    matching++;
    if (limit === 0 || shown.length < limit) shown.push({ position, stream: of, event });
  });
  return { shown, matching, kinds, report };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

/** As JSON has it: arrays for typed ones, texts for payloads. */
export function eventJson({ position, stream, event }: ShownEvent): string {
  return JSON.stringify({ position, stream, ...event }, (name, value: unknown) => {
    if (name === "payload" && value instanceof Uint8Array) return textOf(value);
    if (name === "alarms" && Array.isArray(value)) return value.map((alarm) => textOf(alarm as Uint8Array));
    if (name === "settings" && typeof value === "string") return JSON.parse(value) as unknown;
    return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : value;
  });
}

function figures(values: Float32Array, missing?: Uint8Array): string {
  const texts = Array.from(values.subarray(0, VALUES_SHOWN), (value, index) => {
    return missing?.[index] === 1 ? "-" : Number(value.toPrecision(6)).toString();
  });
  return values.length > VALUES_SHOWN ? `${texts.join(" ")} ...` : texts.join(" ");
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function describe(event: JournalEvent): string {
  switch (event.kind) {
    case "readings": {
      const { count, firstSequence, skipped, times, values, missing, outputs, alarms, silent } = event;
      const last = Array.from(skipped?.subarray(1) ?? []).reduce((sum, left) => sum + left, firstSequence + count - 1);
      const of = count === 1 ? `reading ${firstSequence}` : `readings ${firstSequence} to ${last}`;
      const more = `${alarms.length > 0 ? `, ${alarms.length} alarm messages` : ""}${silent ? ", not published" : ""}`;
      return `${of} of ${time(times[0]!)}: ${figures(values, missing)} gave ${figures(outputs)}${more}`;
    }
    case "held":
      return `reading ${event.sequence} of ${time(event.time)} waits for its turn: ${figures(event.values, event.missing)}`;
    case "kept":
      return `a part of a reading of ${time(event.time)}: ${figures(event.values, event.missing)}`;
    case "stateSet":
      return `its state is set (${event.transaction})`;
    case "budgetSet":
      return `its alarm budget is ${event.perWeek === 0 ? "its group's" : budgetText(event.perWeek)} (${event.transaction})`;
    case "answered":
      return `answered ${event.answer}`;
    case "stateReset":
      return `its state is reset (${event.transaction})`;
    case "streamRenamed":
      return `renamed from ${event.from} (${event.transaction})`;
    case "streamAdded":
      return `added as row ${event.row} of group ${event.group}`;
    case "streamRemoved":
      return `removed from row ${event.row} of group ${event.group}`;
    case "epoch":
      return event.settings;
    case "layout":
      return `${event.hash.toString(16)}: ${event.names.join(", ")}`;
    case "notice":
      return `${event.topic}: ${textOf(event.payload)}`;
    case "confirmed":
      return `the broker has all messages of events before ${event.mark}`;
    default:
      return "the broker's session";
  }
}

export function eventLine({ position, stream, event }: ShownEvent): string {
  const line = [String(position), event.kind, ...(stream === undefined ? [] : [stream]), describe(event)].join("  ");
  // Payloads and topics are whatever somebody has sent.
  return line.replaceAll(/\p{Cc}/gu, (sign) => `\\x${sign.codePointAt(0)!.toString(16).padStart(2, "0")}`);
}
