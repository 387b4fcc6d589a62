// The messages that an event sends out. Live and in a replay they are made by the same lines from the same event, so a repeated
// message is bit-identical to the first.
import type {
  AlarmCalledEvent,
  AlarmMutedEvent,
  AnsweredEvent,
  CommandEvent,
  JournalEvent,
  NoticeEvent,
  ReadingsEvent,
  StreamRemovedEvent,
} from "../journal/events.ts";
import { discoveryTopic } from "../message/home-assistant.ts";
import { encodePrediction } from "../message/prediction.ts";
import type { Prediction } from "../message/prediction.ts";
import { alarmTopic, budgetTopic, latestTopic, predictionTopic, responseTopic } from "../message/topics.ts";
import { shortVersion } from "../model/model.ts";
import type { Fold } from "./fold.ts";
import type { OutboundMessage } from "./outbox.ts";
import type { StreamGroup } from "./stream-group.ts";

const encoder = new TextEncoder();

/** The events that send something out. */
export type SpeakingEvent = ReadingsEvent | CommandEvent | AnsweredEvent | NoticeEvent | StreamRemovedEvent;

const SPEAKING: ReadonlySet<JournalEvent["kind"]> = new Set(["readings", "notice", "answered", "streamRemoved"]);

export function speaks(event: JournalEvent): event is SpeakingEvent {
  return SPEAKING.has(event.kind) || "reply" in event;
}

/** The outputs of a muted stream as they go out: no alarm is open. */
function withoutAlarms({ outputs, count }: ReadingsEvent): Float32Array {
  const width = outputs.length / count;
  return outputs.map((value, at) => (at % width === width - 1 ? 0 : value));
}

export class Composer {
  readonly #fold: Fold;
  /** Topics are built once a stream. */
  readonly #topics = new Map<string, string>();
  /** Of the event at hand. */
  #sequences = new Float64Array(64);

  constructor(fold: Fold) {
    this.#fold = fold;
  }

  #sequencesOf(event: ReadingsEvent): Float64Array {
    if (event.count > this.#sequences.length) this.#sequences = new Float64Array(2 * event.count);
    let sequence = event.firstSequence;
    for (let i = 0; i < event.count; i++) {
      if (i > 0) sequence += 1 + (event.skipped?.[i] ?? 0);
      this.#sequences[i] = sequence;
    }
    return this.#sequences.subarray(0, event.count);
  }

  #topicOf(node: string, key: string): string {
    let topic = this.#topics.get(key);
    if (topic === undefined) this.#topics.set(key, (topic = predictionTopic(node, key)));
    return topic;
  }

  /** The messages of an event, in the order they go out. Call it before any later event is applied. */
  messagesOf(event: SpeakingEvent): OutboundMessage[] {
    switch (event.kind) {
      case "readings":
        return this.#predictions(event);
      case "notice":
        return [{ topic: event.topic, payload: event.payload.slice(), retain: false }];
      case "answered":
        return [this.#answer(event.transaction, event.answer)];
      case "streamRemoved":
        return this.#farewell(event.group, event.key);
      case "streamRenamed":
        return [...this.#farewell(event.group, event.from), ...this.#reply(event)];
      case "alarmMuted":
      case "alarmCalled":
        return [this.#standing(event), ...this.#reply(event)];
      default:
        return this.#reply(event);
    }
  }

  #standing({ group, row, alarm }: AlarmMutedEvent | AlarmCalledEvent): OutboundMessage {
    const stream = this.#fold.groups[group]!.columns.keys[row]!;
    return { topic: alarmTopic(this.#fold.settings.node, stream), payload: alarm.slice(), retain: true };
  }

  #reply(event: CommandEvent): OutboundMessage[] {
    return event.reply ? [this.#answer(event.transaction, this.#fold.answerOf(event))] : [];
  }

  #answer(transaction: string, answer: string): OutboundMessage {
    const topic = responseTopic(this.#fold.settings.node, transaction);
    return { topic, payload: encoder.encode(answer), retain: false };
  }

  /** What was retained for a stream goes with its name: an empty payload clears it [MQTT-3.3.1-6]. */
  #farewell(group: number, key: string): OutboundMessage[] {
    this.#topics.delete(key);
    const { node, homeAssistant } = this.#fold.settings;
    const { predictions, score } = this.#fold.groups[group]!.settings;
    const topics = [
      ...(predictions.latest ? [latestTopic(node, key)] : []),
      ...(score === undefined ? [] : [alarmTopic(node, key)]),
      ...(homeAssistant === undefined ? [] : [discoveryTopic(homeAssistant, node, key)]),
      ...(homeAssistant === undefined || score === undefined ? [] : [budgetTopic(node, key)]),
    ];
    return topics.map((topic) => ({ topic, payload: new Uint8Array(0), retain: true }));
  }

  #predictions(event: ReadingsEvent): OutboundMessage[] {
    const group: StreamGroup = this.#fold.groups[event.group]!;
    const { node } = this.#fold.settings;
    const stream = group.columns.keys[event.row]!;
    const messages: OutboundMessage[] = [];
    if (!event.silent) {
      const payload = encodePrediction(group.settings.predictions.format, this.predictionOf(event));
      messages.push({ topic: this.#topicOf(node, stream), payload, retain: false });
      if (group.settings.predictions.latest) messages.push({ topic: latestTopic(node, stream), payload, retain: true });
    }
    for (const alarm of event.alarms) messages.push({ topic: alarmTopic(node, stream), payload: alarm.slice(), retain: true });
    return messages;
  }

  /** What readings gave, on the event's own arrays. `sequences` lasts until the next call. */
  predictionOf(event: ReadingsEvent): Prediction {
    const group: StreamGroup = this.#fold.groups[event.group]!;
    return {
      stream: group.columns.keys[event.row]!,
      boot: event.identity?.boot ?? 0,
      nonce: event.identity?.nonce ?? 0,
      firstSequence: event.firstSequence,
      version: shortVersion(group.settings.version),
      engine: group.settings.engine,
      count: event.count,
      sequences: this.#sequencesOf(event),
      times: event.times,
      outputs: event.muted ? withoutAlarms(event) : event.outputs,
      outputNames: group.outputNames,
    };
  }
}
