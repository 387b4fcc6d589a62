// What every number that the runtime counts is called for Prometheus, and what it means, in words. A test holds the names against the
// sources; one that is missing here is exposed all the same, under its own name.

export interface MetricText {
  readonly help: string;
  /** Where it is not the runtime's own, for its unit: without prefix and suffix. */
  readonly name?: string;
  /** From the runtime's unit to Prometheus' base unit. */
  readonly scale?: number;
}

type Texts = Readonly<Record<string, string | MetricText>>;

export const counterTexts: Texts = {
  acks_sent: "Acknowledgements of messages sent to the broker.",
  acks_stale: "Messages settled after their connection had ended; the broker sends them again.",
  checkpoint_bytes_written: "Bytes of checkpoints written to the disk.",
  checkpoints_damaged: "Checkpoints found damaged at the start.",
  checkpoints_failed: "Checkpoints that found no room on the disk.",
  checkpoints_written: "Checkpoints written.",
  dead_letters: "Refused messages and readings told on the dead-letter topic.",
  dead_letters_suppressed: "Refusals not told there because there were too many.",
  disk_reserve_given_up: "Times the room kept for a full disk was given up.",
  intake_bytes: "Bytes of payloads received from the broker.",
  intake_connects: "Connections of the intake to the broker.",
  intake_disconnects: "Connections of the intake that ended.",
  intake_holds: "Times the broker was held back because too much was unsettled.",
  intake_messages: "Messages received from the broker.",
  journal_bytes_written: "Bytes of the journal written to the disk.",
  journal_damaged: "Journals found damaged at the start.",
  journal_writes: "Writes to the journal.",
  messages_passed_over: "Messages of devices' other kinds, which carry no readings.",
  learning_decisions: "What fine-tunes came to, by reason.",
  messages_received: "Messages taken by the pipeline.",
  messages_refused: "Messages refused as a whole, by reason.",
  messages_requested: "Messages sent to ask for something, as Sparkplug's births.",
  publish_refused: "Predictions that the broker would not take, by reason.",
  readings_accepted: "Readings stepped by a network.",
  readings_held: "Readings that came before their turn and wait for it.",
  readings_kept: "Readings that lack some features and were kept for later ones.",
  readings_missed: "Readings absent from their stream by their sequence numbers.",
  readings_received: "Readings decoded from messages.",
  readings_refused: "Readings refused, by reason.",
  readings_released: "Held readings whose turn came.",
  replay_mismatch: "Replayed readings whose outputs differ from those in the journal.",
  replayed_events: "Events replayed from the journal at the start.",
  session_in_doubt: "Times nobody knew which session the broker had kept; messages without number may have been stepped twice.",
  session_lost: "Times the broker had lost our session, and with it what was sent while we were away.",
  sink_confirmed: "Predictions confirmed by the broker.",
  sink_connects: "Connections of the sink to the broker.",
  sink_disconnects: "Connections of the sink that ended.",
  sink_publishes: "Predictions sent to the broker.",
  sink_publishes_repeated: "Predictions sent again because a connection had ended.",
  streams_expired: "Streams forgotten after a long silence.",
  update_chunks_received: "Chunks of models that came over MQTT and are what their manifest says.",
  update_chunks_refused: "Chunks of models that are not.",
  updates_accepted: "Signed models for a group whose manifest was accepted.",
  updates_in_force: "Models that came over MQTT and were put in force.",
  updates_refused: "Models over MQTT that were refused, by reason.",
  time_backwards: "Readings with a time before that of the reading before them.",
};

export const gaugeTexts: Texts = {
  block_bytes: "Bytes of events that wait for the disk.",
  block_events: "Events that wait for the disk.",
  commit_lag_events: "Events that have happened and are not yet durable.",
  disk_full: "1 while the disk has no room and readings wait.",
  held_readings: "Readings that wait for others before them.",
  history_bytes: "Bytes of the journal that are kept as history.",
  intake_held: "1 while the broker is held back.",
  intake_up: "1 while the intake is connected to the broker.",
  journal_bytes_to_replay: "Bytes of the journal since the last checkpoint.",
  layouts: "Layouts of devices that are remembered.",
  outbox_bytes: "Bytes of predictions that the broker has not confirmed.",
  outbox_messages: "Predictions that the broker has not confirmed.",
  queue_messages: "Messages that wait for the next pass.",
  replay_ms_expected: {
    name: "replay_expected_seconds",
    scale: 1e-3,
    help: "How long a start would take to replay the journal, as measured.",
  },
  replay_ms_per_event: { name: "replay_event_seconds", scale: 1e-3, help: "How long an event takes to replay, as measured." },
  sink_in_flight: "Predictions sent and not yet confirmed on this connection.",
  sink_up: "1 while the sink is connected to the broker.",
  streams: "Streams.",
  transactions: "Commands whose answers are remembered.",
  unsettled_bytes: "Bytes of messages that are not yet acknowledged.",
  unsettled_messages: "Messages that are not yet acknowledged.",
  weak_deliveries: "Messages without sequence number that the broker might repeat.",
};

/** All are of durations, in milliseconds here and in seconds there. */
export const histogramTexts: Texts = {
  journal_commit: "From handing events to the disk until they may leave: written, and in strict mode synced.",
  message_latency:
    "From a message's arrival until everything in it is as durable as the mode promises and it may be acknowledged.",
  publish_latency: "From sending a prediction until the broker has confirmed it.",
};
