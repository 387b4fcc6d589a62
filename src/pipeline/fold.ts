// The durable state as a whole: what the events of the journal add up to. It judges nothing and publishes nothing; applying the same
// events in the same order gives the same state, live or after a crash.
import { strict as assert } from "node:assert";
import { limits } from "../base/limits.ts";
import type {
  CommandEvent,
  HeldEvent,
  JournalEvent,
  KeptEvent,
  LayoutEvent,
  ReadingsEvent,
  SessionEvent,
} from "../journal/events.ts";
import { RecentMap } from "./recent-map.ts";
import type { ReleaseObserver } from "./release-observer.ts";
import type { EpochSettings, GroupSettings } from "./settings.ts";
import { decodeEpochSettings, sameHorizons } from "./settings.ts";
import type { StreamGroup } from "./stream-group.ts";

export interface StreamRef {
  readonly group: StreamGroup;
  readonly row: number;
}

export interface Layout {
  readonly names: readonly string[];
  readonly units: readonly string[];
}

/** The events that change the durable state by themselves: all but readings, which are staged, and notices and marks. */
export type StateEvent = Exclude<JournalEvent, { kind: "readings" | "confirmed" | "notice" | "held" | "kept" }>;

/**
 * Makes the groups that an epoch names: the ones there are stay, with the new settings. First comes what may fail, and has then changed
 * nothing; what it returns brings the groups into being.
 */
export type GroupFactory = (settings: EpochSettings, groups: readonly StreamGroup[]) => Promise<() => Promise<StreamGroup[]>>;

/** What a command is called by those who give it. */
function commandOf(event: CommandEvent): string {
  switch (event.kind) {
    case "stateSet":
      return "set";
    case "stateReset":
      return "reset";
    case "streamRenamed":
      return "rename";
    case "alarmMuted":
      return event.until === 0 ? "unmute" : "mute";
    case "alarmCalled":
      return event.verdict;
    case "budgetSet":
      return "budget";
  }
}

/** Whether what streams remember becomes other by an epoch. */
function changesStates(present: GroupSettings, wanted: GroupSettings): boolean {
  return present.version !== wanted.version || present.switch !== wanted.switch || !sameHorizons(present, wanted);
}

export class Fold {
  readonly #makeGroups: GroupFactory;
  #settings: EpochSettings | undefined;
  #groups: StreamGroup[] = [];
  readonly #streams = new Map<string, StreamRef>();
  readonly layouts = new RecentMap<number, Layout>(limits.layoutsMax);
  /** The answers of the last commands, by transaction. */
  readonly answers = new RecentMap<string, string>(limits.transactionsMax);
  /** QoS 1 messages without identity whose ack the broker may not have seen: packet id and content by key. */
  readonly weakDeliveries = new RecentMap<string, true>(2 * limits.unsettledMessagesMax);
  /** A connection was being made, and what became of the broker's session by it is not known. */
  sessionInDoubt = false;
  #streamChanges = 0;
  /** Called before a stream changes: a checkpoint under way writes it down first. */
  onTouch: ((group: StreamGroup, row: number) => void) | undefined;
  /** Looks on as readings are released. */
  observer: ReleaseObserver | undefined;

  constructor(makeGroups: GroupFactory) {
    this.#makeGroups = makeGroups;
  }

  get settings(): EpochSettings {
    assert(this.#settings !== undefined, "every journal begins with an epoch");
    return this.#settings;
  }

  get groups(): readonly StreamGroup[] {
    return this.#groups;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Rises whenever a stream comes, goes, or is given another name or budget, and with every epoch. */
  get streamChanges(): number {
    return this.#streamChanges;
  }

  /** The group of a name. */
  groupOf(name: string): StreamGroup | undefined {
    return this.#groups.find(({ settings }) => settings.name === name);
  }

  find(key: string): StreamRef | undefined {
    return this.#streams.get(key);
  }

  streams(): IterableIterator<[string, StreamRef]> {
    return this.#streams.entries();
  }

  touch(group: StreamGroup, row: number): void {
    this.onTouch?.(group, row);
  }

  /**
   * Gets ready for other settings, and returns what brings them into force. Throws where they cannot come into force, and has then changed
   * nothing. Nothing may be staged.
   */
  async prepareEpoch(settings: EpochSettings): Promise<() => Promise<void>> {
    const make = await this.#makeGroups(settings, this.#groups);
    return async () => {
      for (const [index, wanted] of settings.groups.entries()) {
        const group = this.#groups[index];
        if (group !== undefined && changesStates(group.settings, wanted)) this.#touchAll(group);
      }
      this.#groups = await make();
      this.#settings = settings;
      this.#streamChanges++;
    };
  }

  async enterEpoch(settings: EpochSettings): Promise<void> {
    const enter = await this.prepareEpoch(settings);
    await enter();
  }

  /** Every state of a group is about to change. */
  #touchAll(group: StreamGroup): void {
    if (this.onTouch === undefined) return;
    for (const [row, key] of group.columns.keys.entries()) if (key !== undefined) this.touch(group, row);
  }

  addLayout(event: LayoutEvent): void {
    this.layouts.set(event.hash, { names: event.names, units: event.units });
  }

  addStream(groupIndex: number, row: number, key: string): StreamRef {
    const group = this.#groups[groupIndex]!;
    group.add(row, key);
    return this.register(group, row);
  }

  /** Makes a row that a checkpoint brought findable by its key. */
  register(group: StreamGroup, row: number): StreamRef {
    const ref = { group, row };
    this.#streamChanges++;
    this.#streams.set(group.columns.keys[row]!, ref);
    return ref;
  }

  removeStream(group: StreamGroup, row: number): void {
    this.touch(group, row);
    this.#streamChanges++;
    this.#streams.delete(group.columns.keys[row]!);
    group.remove(row);
  }

  /** Changes a state or a name by command. */
  applyCommand(event: CommandEvent): void {
    const group = this.#groups[event.group]!;
    this.touch(group, event.row);
    this.#carryOut(event, group);
    this.answers.set(event.transaction, this.answerOf(event));
  }

  #carryOut(event: CommandEvent, group: StreamGroup): void {
    switch (event.kind) {
      case "stateSet":
        return group.setState(event.row, event.state);
      case "stateReset":
        return group.resetState(event.row);
      case "streamRenamed":
        return this.#rename(group, event.row, event.key);
      // Only of a group that is scored.
      case "alarmMuted":
        return group.scores!.notes.mute(event.row, event.until);
      case "alarmCalled":
        return group.scores!.call(event.row, event.verdict, group.columns.time[event.row]!);
      case "budgetSet":
        this.#streamChanges++;
        return group.scores!.notes.setBudget(event.row, event.perWeek);
    }
  }

  #rename(group: StreamGroup, row: number, key: string): void {
    this.#streamChanges++;
    this.#streams.delete(group.columns.keys[row]!);
    group.columns.keys[row] = key;
    this.#streams.set(key, { group, row });
  }

  /** The JSON that says a command is done; the same every time it is asked for. */
  answerOf(event: CommandEvent): string {
    const stream = event.kind === "streamRenamed" ? event.key : this.#groups[event.group]!.columns.keys[event.row]!;
    return JSON.stringify({ transaction: event.transaction, ok: true, command: commandOf(event), stream });
  }

  /** In another session packet ids of before mean nothing. */
  noteSession({ kind }: SessionEvent): void {
    this.sessionInDoubt = kind === "sessionAsked";
    if (kind === "sessionBegan") this.weakDeliveries.clear();
  }

  rememberWeakDelivery(packetId: number, contentHash: number): void {
    this.weakDeliveries.set(`${packetId}:${contentHash}`, true);
  }

  isWeakRepeat(packetId: number, contentHash: number): boolean {
    return this.weakDeliveries.get(`${packetId}:${contentHash}`) !== undefined;
  }

  /** Keeps a reading that came before its turn. `sinceMs`: on the monotonic clock of this process. */
  applyHeld(event: HeldEvent, sinceMs: number): void {
    const group = this.#groups[event.group]!;
    this.touch(group, event.row);
    group.columns.receivedAt[event.row] = event.receivedAt;
    group.held.add(event.row, { ...event, sinceMs });
  }

  /** Keeps the values of a reading that is not stepped. */
  applyKept(event: KeptEvent): void {
    const group = this.#groups[event.group]!;
    this.touch(group, event.row);
    group.columns.keep(event);
  }

  /** Stages the readings of a journalled event; returns the index of the first in its group's stepper. */
  stageReadings(event: ReadingsEvent): number {
    const group = this.#groups[event.group]!;
    this.touch(group, event.row);
    const restarted = group.beginMessage(event.row, event.identity);
    if (!event.fromHeld) group.columns.receivedAt[event.row] = event.receivedAt;
    let first = -1;
    const timeTrusted = event.deviceTimes || event.clockSynced;
    let sequence = event.firstSequence - 1 - (event.skipped?.[0] ?? 0);
    for (let i = 0; i < event.count; i++) {
      const skipped = event.skipped?.[i] ?? 0;
      sequence += skipped + 1;
      const broken = skipped > 0 || (i === 0 && restarted);
      const index = group.accept(
        event.row,
        { broken, sequence, time: event.times[i]!, timeTrusted },
        event.values,
        event.missing,
        i * event.features,
      );
      if (i === 0) first = index;
    }
    if (event.fromHeld) group.held.drop(event.row, sequence);
    if (event.weakDelivery) this.rememberWeakDelivery(event.weakDelivery.packetId, event.weakDelivery.contentHash);
    return first;
  }

  /** Applies an event that is neither readings nor only about messages. Nothing may be staged that came before it. */
  async apply(event: StateEvent): Promise<void> {
    switch (event.kind) {
      case "epoch":
        return this.enterEpoch(decodeEpochSettings(event.settings));
      case "layout":
        return this.addLayout(event);
      case "sessionAsked":
      case "sessionBegan":
      case "sessionKept":
        return this.noteSession(event);
      case "streamAdded":
        this.addStream(event.group, event.row, event.key);
        return;
      case "streamRemoved":
        return this.removeStream(this.#groups[event.group]!, event.row);
      case "answered":
        this.answers.set(event.transaction, event.answer);
        return;
      default:
        return this.applyCommand(event);
    }
  }
}
