// Why something was refused, and what to do about it, for people who see the page and not the documentation.
import type { MessageReason, ReadingReason } from "../pipeline/refusals.ts";

export const messageReasons: Readonly<Record<MessageReason, string>> = {
  oversize: "The message has more than 256 KiB.",
  undecodable: "The message is not of the format that its group's codec expects.",
  shape: "The message can be read, but holds no readings: a field is missing or of the wrong kind.",
  layout: "The device sends values without names, and nobody has said which they are.",
  unknown_topic: "No group of the config takes this topic.",
  bad_command: "A command over MQTT was incomplete, too late or unknown.",
  retained: "The broker repeated what it remembers of a device; that is no reading.",
  poison: "The message could not be handled for a reason that is ours. Please report it.",
};

export const readingReasons: Readonly<Record<ReadingReason, string>> = {
  duplicate: "The reading had come before. This is as it should be after a cut.",
  stale_boot: "The reading is from before the device's last restart.",
  boot_conflict: "Two devices send under the same name, or one restarted without counting it.",
  identity_missing: "The stream's other readings carry a sequence number, this one does not.",
  nonfinite: "A value is not a number, or infinite.",
  range: "A value lies outside the range that the config allows.",
  missing: "A value is missing, and nothing stands in for it.",
  bad_key: "The name of the stream is too long or holds characters that cannot be shown.",
  foreign_stream: "The name belongs to a stream of another group.",
  cardinality: "There are as many streams as the config allows.",
  rate: "The stream sends more than the config lets it.",
};
