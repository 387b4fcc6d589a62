// Every bound of the runtime, with its unit, in one place. A bound that a config may move stands here as its default.

const KIB = 1024;
const MIB = 1024 * KIB;

export const limits = {
  // Streams
  streamsMax: 10_000,
  /** What a config may raise it to. */
  streamRowsMax: 1_000_000,
  /** A stream without a reading for this long is forgotten. */
  streamExpiryMs: 30 * 24 * 3_600_000,
  streamExpiryCheckMs: 3_600_000,
  /** The wall clock moving otherwise than the monotonic one by this much has been set. */
  clockJumpMs: 600_000,
  streamKeyBytesMax: 128,
  groupsMax: 64,
  groupTopicsMax: 256,
  csvColumnsMax: 1024,
  /** Streams times features whose counters are followed. */
  counterRatesMax: 100_000,
  featuresMax: 256,
  /** Readings in one message. */
  readingsPerMessageMax: 4096,
  /** |feature| above this is no measurement; it also keeps float32 arithmetic finite. */
  featureMagnitudeMax: 1e12,
  /** Intervals a missing value is held for. */
  holdReadingsMax: 10,
  /** What a stream remembers of its last readings, to build another model's state from. */
  recentReadingsMax: 64,
  recentBytesMax: 4 * KIB,
  /** Readings of a stream that wait for others. */
  heldReadingsMax: 256,
  /** A lower boot with a new nonce is believed after the old boot has been silent this long. */
  bootSilenceMs: 10 * 60_000,
  /** What a budget of alarms may be, in a week. */
  alarmsPerWeekMin: 0.01,
  alarmsPerWeekMax: 10_000,
  layoutsMax: 1024,
  /** Edge nodes of Sparkplug B whose births are remembered, and the metrics that one may have. */
  sparkplugNodesMax: 1024,
  sparkplugMetricsMax: 65_536,
  /** A node is asked for its births at most this often. */
  sparkplugRebirthMs: 10_000,

  // Messages
  payloadBytesMax: 256 * KIB,
  /** Objects and arrays inside each other, in binary formats. */
  nestingMax: 64,
  deadLetterPayloadBytesMax: 4 * KIB,
  deadLettersPerSecondMax: 10,
  deadLettersBurstMax: 100,
  transactionsMax: 1024,
  transactionBytesMax: 128,

  /** A compiled schema of devices' own protobuf messages. */
  protoSchemaBytesMax: MIB,

  // Models
  modelBytesMax: 64 * MIB,
  /** Versions that were in force before, a group: so many rollbacks lead back. */
  modelsBeforeMax: 4,
  /** So many crashes so soon after a model came into force, and the next start goes back to the one before. */
  switchCrashesMax: 3,
  switchCrashesWithinMs: 10 * 60_000,
  /** A model file without its tensors' numbers: nodes, names, spec. Decoding multiplies these bytes by about a hundred. */
  modelStructureBytesMax: MIB,

  /** Readings that a stream which learns by itself looks ahead. */
  horizonMax: 500,
  /** Streams of groups without a model, each with a network of its own. */
  learningStreamsMax: 1000,

  // Engines
  /** `auto` is measured once a group has stepped this many readings, and looked at this often. */
  engineTrialAfterSteps: 1000,
  engineTrialCheckMs: 60_000,
  engineTrialBatchesMax: 3,
  engineTrialMsMax: 60_000,
  /** Both engines are held against each other before a model is put in force. */
  verifyMsMax: 300_000,

  // Intake and sink
  /** Messages received and not yet acked; at the bound the TCP stream is held back. */
  unsettledMessagesMax: 1000,
  unsettledBytesMax: 16 * MIB,
  /** Messages that the embedding program has given and the runtime has not taken yet. */
  linkMessagesMax: 10_000,
  /** Predictions published and not yet confirmed. */
  publishWindowMax: 1000,
  outboxBytesMax: 8 * MIB,
  sessionExpirySeconds: 7 * 24 * 3600,
  keepaliveSeconds: 30,
  reconnectDelayMsMin: 1000,
  reconnectDelayMsMax: 60_000,
  /** A broker that owes an answer (CONNACK, SUBACK, PUBACK) for longer is taken for dead: the connection is made anew. */
  brokerAnswerMsMax: 30_000,

  // Journal
  segmentBytes: 16 * MIB,
  blockBytesMax: 4 * MIB,
  checkpointAfterBytes: 16 * MIB,
  checkpointAfterMs: 60 * 60_000,
  checkpointSliceMs: 2,
  /** A checkpoint is also due when replaying the events since the last would take longer. */
  replayMsMax: 1500,
  /** Where the state lies on a flash card: how long events wait for others, and how fast a checkpoint is written. */
  cardLingerMs: 250,
  cardCheckpointBytesPerSecond: 4 * MIB,
  lingerEventsMax: 500,
  lingerBytesMax: 256 * KIB,
  /** In relaxed and volatile mode what is written is synced this much later. */
  relaxedSyncMs: 1000,
  /** Room kept for the moment when the disk is full: a segment and some more. And how often more is tried then. */
  diskReserveBytes: 20 * MIB,
  diskFullRetryMs: 1000,
  /** Readings admitted and stepped before the loop looks at the disk and its timers again. */
  readingsPerPassMax: 8192,

  // Dashboard
  dashboardConnectionsMax: 64,
  /** Browsers that watch at the same time, and the streams that they have open together. */
  dashboardWatchersMax: 16,
  dashboardStreamsMax: 32,
  /** What a browser has not taken yet; beyond it its updates are left out, and after a while it is cut off. */
  dashboardBufferBytesMax: 256 * KIB,
  dashboardLagMsMax: 30_000,
  dashboardBodyBytesMax: MIB,
  dashboardLinesMax: 200,
  /** Rates and latencies are looked at this often, and kept so many times: fifteen minutes. */
  dashboardSampleMs: 2000,
  dashboardSamplesMax: 450,
  /** Readings of a stream that are kept while somebody watches it, and those sent at once; of each at most so many features and outputs. */
  dashboardPointsMax: 600,
  dashboardPointsPerUpdateMax: 100,
  dashboardUpdateMs: 250,
  dashboardValuesMax: 32,
  /** A stream that nobody watches any more is kept so long, for those who come back. */
  dashboardForgetMs: 600_000,
  /** Rows of the list of streams in one answer, and streams looked at before the readings have their turn again. */
  dashboardRowsMax: 200,
  dashboardScanMax: 20_000,
  /** Wrong tokens in a minute before everyone who tries has to wait. */
  dashboardAttemptsPerMinuteMax: 10,

  // Models over the air
  updateKeysMax: 16,
  updateManifestBytesMax: 128 * KIB,
  /** Of each chunk of a model but the last. */
  updateChunkBytes: 64 * KIB,
  /** Chunks that are asked for at the same time. */
  updateChunksAskedMax: 8,
  /** Chunks that do not come in this time are asked for again after the pause. */
  updateAnswerMsMax: 10_000,
  updateRetryMs: 30_000,
  /** Messages taken in a second; the rest has to wait in the broker. */
  updateMessagesPerSecondMax: 64,
  /** How often it is told how far a transfer is, and how often a manifest for a group is judged. */
  updateReportMs: 1000,
  /** Starts of putting a model in force that end with the process: after so many it is given up. */
  updateTriesMax: 3,

  // History and learning
  historyBytes: 256 * MIB,
  historyAgeMs: 30 * 24 * 3_600_000,
  /** Readings that a group learns from: the last, and of older ones a sample. */
  learningRowsMax: 50_000,
  /** Of the thread that learns. */
  learningHeapMiB: 256,
  learningCheckMs: 60_000,
  /** Between two fine-tunes of a group, and the readings that a challenger is judged by. */
  learningEveryMs: 24 * 3_600_000,
  learningReadings: 500,
  /** Decisions on a group's course that are kept to be shown. */
  learningDecisionsKept: 20,

  // Control socket
  controlLineCharactersMax: 64 * MIB,

  // Bridge
  /** How often what there is is held against what was said of it, and how often the runtime says how it is doing. */
  bridgeLookMs: 1000,
  bridgeHealthMs: 60_000,
  /** Streams that are listed by name. */
  bridgeStreamsMax: 1000,

  // Life cycle
  stopMsMax: 5000,
  /** A second signal to stop within this time is the first one's echo. */
  signalRepeatMs: 500,
  /** How often a supervisor that sets no bound is told how it goes, and how long telling it may take. */
  supervisorLookMs: 30_000,
  supervisorAnswerMsMax: 10_000,
} as const;
