// The topic of a simulated device: the pattern that a runtime subscribes to, with the device's name in the place of its capture.
import { HiddenstateError } from "../src/base/errors.ts";
import { encodeStreamKey } from "../src/message/stream-key.ts";
import { parseTopicPattern } from "../src/message/topic-pattern.ts";

/** Throws `bad_argument` unless the pattern names the device once, by `{device}`, and nothing else is left open. */
export function deviceTopic(pattern: string, name: string): string {
  parseTopicPattern(pattern);
  const topic = pattern.replace("{device}", encodeStreamKey(name));
  if (topic === pattern || /[{}+#]/.test(topic)) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot publish on "${pattern}": write it with {device} as its one open level, as sensors/{device}/readings`,
    );
  }
  return topic;
}
