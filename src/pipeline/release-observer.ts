// Who looks on as readings leave, a dashboard: it is told after a reading's release, gets copies, and nothing waits for it. Where nobody
// looks, a message costs one comparison.
import type { ReadingsEvent } from "../journal/events.ts";
import type { Prediction } from "../message/prediction.ts";

/** The readings of one message of one stream, as they were stepped. */
export interface ReleasedReadings {
  readonly stream: string;
  readonly event: ReadingsEvent;
  /** As it leaves for the broker; of a stream that is still learning none leaves. */
  readonly prediction: Prediction;
}

export interface ReleaseObserver {
  /** Whether these readings are to be shown; asked for every message, at a moment when readings wait for the answer. */
  wants(stream: string, event: ReadingsEvent): boolean;
  /** The observer's to keep. Must not throw. */
  released(readings: ReleasedReadings): void;
}

/** The event's arrays lie in memory that is used again. */
export function copyOfReadings(event: ReadingsEvent): ReadingsEvent {
  return {
    ...event,
    skipped: event.skipped?.slice(),
    times: event.times.slice(),
    values: event.values.slice(),
    missing: event.missing?.slice(),
    outputs: event.outputs.slice(),
    alarms: event.alarms.map((alarm) => alarm.slice()),
  };
}
