// Alarms on the wire, as JSON: that one opened, what about the reading was unusual, that it closed again, and what a person has said of it.
// The same alarm always gives the same bytes.
import { shortestFloat32 } from "./float32-text.ts";

/** A feature's part in an alarm. */
export interface AlarmContribution {
  readonly feature: string;
  /** In the feature's unit. */
  readonly expected: number;
  readonly seen: number;
  /** 0 to 1, of all that was unusual. */
  readonly share: number;
}

/** What a person calls an alarm: nothing was wrong, or something was. */
export type Verdict = "normal" | "fault";

interface AlarmLabel {
  readonly stream: string;
  /** 0 and 0 where the stream's readings carry no identity; sequences are then the runtime's own count. */
  readonly boot: number;
  readonly nonce: number;
  /** Of the reading that opened or closed it. */
  readonly sequence: number;
  /** Whole milliseconds since 1970. */
  readonly time: number;
  /** 0 to 1, see docs/scores.md. */
  readonly score: number;
  /** What made the message where its reading did not: the transaction of a command. */
  readonly by?: string | undefined;
  /** Until when the stream's alarms are muted, milliseconds since 1970; 0 where they just were and are no longer. */
  readonly muted?: number | undefined;
  readonly said?: Verdict | undefined;
}

/** The stream does what it has not done before. */
export interface OpenedAlarm extends AlarmLabel {
  readonly open: true;
  /** What kind of change it was. */
  readonly kind: string;
  /** How likely a reading is at least this unusual. */
  readonly probability: number;
  /** The probability lies beyond what the stream's readings can show so far. */
  readonly extrapolated: boolean;
  /** Largest share first. */
  readonly contributions: readonly AlarmContribution[];
}

/** The stream does again what it used to do. */
export interface ClosedAlarm extends AlarmLabel {
  readonly open: false;
}

/** A stream does what it has not done before, or does so no longer; `open` says which. */
export type Alarm = OpenedAlarm | ClosedAlarm;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const DIGITS = 4;

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** The bytes are the caller's to keep. */
export function encodeAlarm(alarm: Alarm): Uint8Array {
  const { stream, boot, nonce, sequence, time, score, open, by = `${boot}/${sequence}`, muted, said } = alarm;
  const id = `${stream}/${by}/alarm`;
  // What nobody has said is undefined, and left out.
  const label = { id, stream, boot, nonce, sequence, time, open, score: rounded(score), muted, said };
  if (!alarm.open) return encoder.encode(JSON.stringify(label));
  const { kind, probability, extrapolated } = alarm;
  const contributions = alarm.contributions.map(({ feature, expected, seen, share }) => ({
    feature,
    expected: shortestFloat32(expected),
    seen: shortestFloat32(seen),
    share: rounded(share),
  }));
  return encoder.encode(JSON.stringify({ ...label, kind, probability: rounded(probability), extrapolated, contributions }));
}

/** Reads back what `encodeAlarm` wrote, numbers as they stand in the message. */
export function decodeAlarm(payload: Uint8Array): Alarm {
  return JSON.parse(decoder.decode(payload)) as Alarm;
}
