// The events of the journal. An event says all that a fold needs: what is not in the journal may not influence a state.
import type { StateTensors } from "../engine/engine.ts";
import type { Verdict } from "../message/alarm.ts";
import type { Identity } from "../message/reading.ts";

/** Whatever changes what a step depends on: settings as JSON. The first event of every journal. */
export interface EpochEvent {
  readonly kind: "epoch";
  readonly settings: string;
}

export interface LayoutEvent {
  readonly kind: "layout";
  readonly hash: number;
  readonly names: readonly string[];
  readonly units: readonly string[];
}

export interface StreamAddedEvent {
  readonly kind: "streamAdded";
  readonly group: number;
  readonly row: number;
  readonly key: string;
}

export interface StreamRemovedEvent {
  readonly kind: "streamRemoved";
  readonly group: number;
  readonly row: number;
  readonly key: string;
}

/** A QoS 1 message without identity, so that its repetition after a cut can be told. */
export interface WeakDelivery {
  readonly packetId: number;
  readonly contentHash: number;
}

/**
 * Of the broker's session, in which packet ids mean something. `sessionAsked`: a connection is being made, by which the broker may begin
 * another one; `sessionKept`: it has not; `sessionBegan`: it has, or what came of an earlier `sessionAsked` will never be known.
 */
export interface SessionEvent {
  readonly kind: "sessionAsked" | "sessionBegan" | "sessionKept";
}

/** The accepted readings of one message for one stream, with the outputs they gave. */
export interface ReadingsEvent {
  readonly kind: "readings";
  readonly group: number;
  readonly row: number;
  /** Undefined: the sequence numbers are this runtime's own count. */
  readonly identity: Identity | undefined;
  readonly firstSequence: number;
  readonly count: number;
  /** `(count)`: sequence numbers left out before each reading; undefined where none was. */
  readonly skipped: Float64Array | undefined;
  /** This box's wall clock, whole milliseconds, and whether it could be believed. */
  readonly receivedAt: number;
  readonly clockSynced: boolean;
  /** Whether `times` are the device's. */
  readonly deviceTimes: boolean;
  /** `(count)`, whole milliseconds since 1970. */
  readonly times: Float64Array;
  readonly features: number;
  /** `(count, D)` as received; 0 where missing. */
  readonly values: Float32Array;
  /** `(count, D)`, 1 where missing; undefined where none is. */
  readonly missing: Uint8Array | undefined;
  readonly weakDelivery: WeakDelivery | undefined;
  /** They were held before; what is held of the stream up to their last sequence number is done with. */
  readonly fromHeld: boolean;
  /** `(count, O)`, in a scored group `(count, O + 2)`: put in once the readings have been stepped; live it is a view that lasts as long as they are staged. */
  outputs: Float32Array;
  /** Messages of alarms that these readings opened or closed, in order; put in with the outputs. */
  alarms: readonly Uint8Array[];
  /** The stream is still learning: no prediction goes out. Put in with the outputs. */
  silent: boolean;
  /** The stream's alarms are muted: what goes out says nothing of them, the outputs kept here do. Put in with the outputs. */
  muted: boolean;
}

/** A reading that came before its turn: it is kept, and stepped by a later event. */
export interface HeldEvent {
  readonly kind: "held";
  readonly group: number;
  readonly row: number;
  readonly identity: Identity;
  readonly sequence: number;
  readonly receivedAt: number;
  readonly clockSynced: boolean;
  readonly deviceTime: boolean;
  readonly time: number;
  /** `(D)`. */
  readonly values: Float32Array;
  readonly missing: Uint8Array | undefined;
}

/** Values of a reading that lacks others: no step came of it, and they stand in where later readings lack them. */
export interface KeptEvent {
  readonly kind: "kept";
  readonly group: number;
  readonly row: number;
  readonly receivedAt: number;
  /** As of a reading: whole milliseconds since 1970. */
  readonly time: number;
  /** `(D)`. */
  readonly values: Float32Array;
  /** `(D)`, 1 where missing. */
  readonly missing: Uint8Array;
}

/** What all commands on a stream have. */
export interface CommandFields {
  readonly group: number;
  readonly row: number;
  readonly transaction: string;
  /** Whether the answer goes out over MQTT. */
  readonly reply: boolean;
}

export interface StateSetEvent extends CommandFields {
  readonly kind: "stateSet";
  readonly state: StateTensors;
}

export interface StateResetEvent extends CommandFields {
  readonly kind: "stateReset";
}

export interface StreamRenamedEvent extends CommandFields {
  readonly kind: "streamRenamed";
  /** The name it had. */
  readonly from: string;
  readonly key: string;
}

interface AlarmFields extends CommandFields {
  /** The message of how the stream's alarms stand from then on. */
  readonly alarm: Uint8Array;
}

export interface AlarmMutedEvent extends AlarmFields {
  readonly kind: "alarmMuted";
  /** By this box's wall clock, whole milliseconds; 0: no longer. */
  readonly until: number;
}

/** What a person says of the stream's open or last alarm. */
export interface AlarmCalledEvent extends AlarmFields {
  readonly kind: "alarmCalled";
  readonly verdict: Verdict;
}

/** A person gives a stream a budget of its own. */
export interface BudgetSetEvent extends CommandFields {
  readonly kind: "budgetSet";
  /** How many alarms a week the stream may raise where nothing is wrong; 0: as many as the config says. */
  readonly perWeek: number;
}

/** A command that changes no stream has been carried out; its answer goes out over MQTT, and to whoever repeats it. */
export interface AnsweredEvent {
  readonly kind: "answered";
  readonly transaction: string;
  /** As JSON. */
  readonly answer: string;
}

/** A message that goes out as it stands: a dead letter, or the answer to a refused command. */
export interface NoticeEvent {
  readonly kind: "notice";
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** The sink's broker has confirmed all messages of the events below `mark`. */
export interface ConfirmedEvent {
  readonly kind: "confirmed";
  readonly mark: number;
}

export type AlarmCommandEvent = AlarmMutedEvent | AlarmCalledEvent | BudgetSetEvent;
export type CommandEvent = StateSetEvent | StateResetEvent | StreamRenamedEvent | AlarmCommandEvent;

export type JournalEvent =
  | EpochEvent
  | LayoutEvent
  | StreamAddedEvent
  | StreamRemovedEvent
  | ReadingsEvent
  | HeldEvent
  | KeptEvent
  | CommandEvent
  | AnsweredEvent
  | NoticeEvent
  | ConfirmedEvent
  | SessionEvent;
