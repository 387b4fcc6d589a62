// Messages of the past published again as they were, on their own topics, at any speed. The order is the recording's; one that goes back
// in time follows at once.
import type { RecordedMessage } from "../src/message/recorded-message.ts";
import { Pace } from "./pace.ts";
import type { PaceOptions } from "./pace.ts";

export interface MessageReplayOptions extends PaceOptions {
  readonly messages: AsyncIterable<RecordedMessage>;
}

export class MessageReplay {
  readonly counts = { messages: 0 };
  readonly #messages: AsyncIterable<RecordedMessage>;
  readonly #pace: Pace;

  constructor(options: MessageReplayOptions) {
    this.#messages = options.messages;
    this.#pace = new Pace(options);
  }

  /** Publishes every message, in order; resolves when the last one has been taken or the replay was stopped. */
  async run(): Promise<void> {
    let latest = Number.NEGATIVE_INFINITY;
    for await (const { time, topic, payload, retain } of this.#messages) {
      latest = Math.max(latest, time);
      await this.#pace.due(latest);
      if (this.#pace.isStopped) return;
      if (await this.#pace.publish({ topic, payload, retain, readings: 0, repeated: false })) this.counts.messages++;
    }
  }

  /** Publishes no further messages; `run` resolves soon. */
  stop(): void {
    this.#pace.stop();
  }
}
