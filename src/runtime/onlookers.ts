// Everyone who looks on as readings are released, as the one observer that the fold knows; where nobody does, the fold has none.
import type { Log } from "../base/log.ts";
import { reasonOf } from "../base/errors.ts";
import type { ReadingsEvent } from "../journal/events.ts";
import { decodeAlarm } from "../message/alarm.ts";
import type { Alarm } from "../message/alarm.ts";
import type { Prediction } from "../message/prediction.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { ReleasedReadings, ReleaseObserver } from "../pipeline/release-observer.ts";

export class Onlookers implements ReleaseObserver {
  readonly #fold: Fold;
  readonly #log: Log;
  #observers: readonly ReleaseObserver[] = [];

  constructor(fold: Fold, log: Log) {
    this.#fold = fold;
    this.#log = log;
  }

  /** Returns what ends it. */
  add(observer: ReleaseObserver): () => void {
    this.#set([...this.#observers, observer]);
    return () => this.#set(this.#observers.filter((one) => one !== observer));
  }

  onPrediction(listener: (prediction: Prediction) => void): () => void {
    return this.add({
      wants: (_stream, event) => !event.silent,
      released: ({ prediction }) => this.#tell(() => listener(prediction)),
    });
  }

  onAlarm(listener: (alarm: Alarm) => void): () => void {
    return this.add({
      wants: (_stream, event) => event.alarms.length > 0,
      released: ({ event }) => {
        for (const alarm of event.alarms) this.#tell(() => listener(decodeAlarm(alarm)));
      },
    });
  }

  #set(observers: readonly ReleaseObserver[]): void {
    this.#observers = observers;
    this.#fold.observer = observers.length === 0 ? undefined : this;
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#log.error("a listener threw", { reason: reasonOf(thrown) });
    }
  }

  wants(stream: string, event: ReadingsEvent): boolean {
    return this.#observers.some((observer) => observer.wants(stream, event));
  }

  released(readings: ReleasedReadings): void {
    const { stream, event } = readings;
    for (const observer of this.#observers) if (observer.wants(stream, event)) observer.released(readings);
  }
}
