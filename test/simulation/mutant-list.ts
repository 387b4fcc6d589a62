// Deliberate faults: what one would break in the runtime, as an edit of a compiled file. The text to be replaced stands there once.

export interface Mutant {
  readonly name: string;
  /** Below build/src. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

/** The file with its fault. Throws where the text to be replaced does not stand there exactly once. */
export function mutated(text: string, { name, file, find, put }: Mutant): string {
  const parts = text.split(find);
  if (parts.length !== 2)
    throw new Error(`the mutant "${name}" does not apply: its text stands ${parts.length - 1} times in ${file}`);
  return parts.join(put);
}

function mutant(name: string, file: string, find: string, put: string): Mutant {
  return { name, file, find, put };
}

const journal: readonly Mutant[] = [
  mutant(
    "acks after the write, before the sync",
    "pipeline/commit.js",
    'if (durability.mode === "strict")',
    'if (durability.mode === "never")',
  ),
  mutant("syncs nothing", "journal/journal.js", "this.#syncing = this.#file.datasync();", "this.#syncing = Promise.resolve();"),
  mutant(
    "does not sync the folder of a new segment",
    "journal/spare-segments.js",
    "await this.#disk.syncDirectory(this.#directory);",
    "",
  ),
  mutant(
    "takes a failed sync for done",
    "journal/journal.js",
    "throw this.#guard.fail(thrown);\n        }\n        finally {\n            this.#syncing",
    "}\n        finally {\n            this.#syncing",
  ),
  mutant(
    "believes the page cache after a failed sync",
    "journal/journal.js",
    "if (first.position === this.#position && first.position > last.base)",
    "if (true)",
  ),
  mutant(
    "writes a carried segment's header first",
    "journal/carry-over.js",
    "await file.datasync();\n        await writeFully(file, encodeSegmentHeader(header), 0);",
    "await writeFully(file, encodeSegmentHeader(header), 0);",
  ),
  mutant(
    "gives up a carried segment before its copy is synced",
    "journal/carry-over.js",
    "encodeSegmentHeader(header), 0);\n        await file.datasync();",
    "encodeSegmentHeader(header), 0);",
  ),
  mutant("checks no block's CRC", "journal/segment.js", "if (blockCrc(segment, start, bodyBytes, place) !== crc)", "if (false)"),
  mutant("takes a block of another continuation", "journal/read-segment.js", "|| block.previous !== end.previous", ""),
  mutant("copies blocks to the bit", "journal/carry-over.js", "random.uint32());", "7);"),
  mutant("writes blocks that are alike", "journal/journal.js", "this.#options.random.uint32()", "7"),
  mutant(
    "begins a segment before the last is synced",
    "journal/journal.js",
    "if (this.#file !== undefined)\n            await this.sync();\n        const header",
    "const header",
  ),
  mutant("loses what does not fit on a full disk", "pipeline/commit.js", "await makeRoom();", "return makeRoom();"),
  mutant(
    "writes to a file of the history under a name that is not durable",
    "journal/history.js",
    "if (released.length > 0)",
    "if (released.length > 1e9)",
  ),
  mutant(
    "counts a segment as free one too early",
    "journal/journal.js",
    "this.#segments[1].base <= position",
    "this.#segments[0].base <= position",
  ),
  mutant("calls a torn tail damage", "journal/segment.js", "block.synced > place.position", "block.synced >= 0"),
];

const checkpoint: readonly Mutant[] = [
  mutant("drops the outbox at a checkpoint", "pipeline/snapshot.js", "chunk(encodeOutbox(entries))", "chunk(encodeOutbox([]))"),
  mutant("finishes a checkpoint before the journal is synced", "pipeline/checkpointer.js", "await synced;", ""),
  mutant(
    "writes a checkpoint's header before its chunks are synced",
    "journal/checkpoint-file.js",
    "async finish(position) {\n        await this.#file.datasync();",
    "async finish(position) {",
  ),
  mutant(
    "does not sync a checkpoint's header",
    "journal/checkpoint-file.js",
    "encodeHeader(header), 0);\n        await this.#file.datasync();",
    "encodeHeader(header), 0);",
  ),
  mutant(
    "does not sync the folder of a checkpoint",
    "journal/checkpoint-file.js",
    "await this.#disk.syncDirectory(this.#directory);",
    "",
  ),
  mutant(
    "writes over the newer checkpoint",
    "journal/checkpoint-file.js",
    "generations[0] <= generations[1] ? 0 : 1",
    "generations[0] <= generations[1] ? 1 : 0",
  ),
  mutant("recycles up to the newer checkpoint", "journal/checkpoint-file.js", ": Math.min(a.position", ": Math.max(a.position"),
  mutant(
    "believes a checkpoint whose sync failed",
    "journal/checkpoint-file.js",
    "if (held === undefined || held.isDurable)",
    "if (true)",
  ),
  mutant("leaves a checkpoint on the disk that it gave up", "runtime/state-directory.js", "await this.checkpoints.clear();", ""),
  mutant("checks no chunk's CRC", "journal/checkpoint-file.js", "if (chunkCrc(chunk, generation, index) !== crc)", "if (false)"),
  mutant("writes streams as they are later", "pipeline/fold.js", "this.onTouch?.(group, row);", ""),
  mutant(
    "forgets held readings in a checkpoint",
    "pipeline/stream-group.js",
    "this.held.encodeRow(into, row);",
    "into.varint(0);",
  ),
  mutant(
    "forgets transactions in a checkpoint",
    "pipeline/snapshot.js",
    "head.varint(fold.answers.size);\n    for (const [transaction, answer] of fold.answers.entries())",
    "head.varint(0);\n    for (const [transaction, answer] of [])",
  ),
  mutant(
    "forgets intervals in a checkpoint",
    "pipeline/stream-columns.js",
    "this.#intervalCount[row] = count;\n        from",
    "this.#intervalCount[row] = 0;\n        from",
  ),
  mutant(
    "forgets how long a value has been missing",
    "pipeline/stream-columns.js",
    "this.heldFor.set(from.raw(this.#features), row * this.#features);",
    "from.raw(this.#features);",
  ),
  mutant(
    "forgets since when a value is held in a checkpoint",
    "pipeline/stream-columns.js",
    "this.heldAt[row * this.#features + d] = from.f64();",
    "from.f64();",
  ),
];

const replay: readonly Mutant[] = [
  mutant("forgets gaps in a replay", "pipeline/fold.js", "const broken = skipped > 0 ||", "const broken ="),
  mutant("forgets restarts in a replay", "pipeline/fold.js", "|| (i === 0 && restarted)", ""),
  mutant("forgets kept readings in a replay", "pipeline/recover.js", "this.#fold.applyKept(event);", ";"),
  mutant("holds values without end", "pipeline/stream-group.js", "|| time - heldAt[cell] > holdMs", ""),
  mutant(
    "steps on readings that are to be kept",
    "pipeline/judge-readings.js",
    "return brings && (lacks || !steps);",
    "return brings && lacks;",
  ),
  mutant(
    "keeps a reading before those of its message are pushed",
    "pipeline/judge-readings.js",
    "if (isKept) {\n                close();",
    "if (isKept) {",
  ),
  mutant("keeps held readings in a replay", "pipeline/fold.js", "group.held.drop(event.row, sequence);", ";"),
  mutant("forgets packet ids in a replay", "pipeline/fold.js", "if (event.weakDelivery)", "if (false)"),
  mutant(
    "replays under the last settings",
    "runtime/stream-groups.js",
    "present.follow(wanted);",
    "if (present.columns.count === 0) present.follow(wanted);",
  ),
  mutant("publishes nothing of before a crash", "runtime/state-directory.js", "outbox.add(position, message);", ";"),
  mutant(
    "notes one confirmation too many",
    "pipeline/pipeline.js",
    'this.#ledger.push({ kind: "confirmed", mark })',
    'this.#ledger.push({ kind: "confirmed", mark: mark + 1 })',
  ),
  mutant(
    "leaves a hole behind confirmations out of order",
    "pipeline/outbox.js",
    "while (this.#head < this.#entries.length && this.#entries[this.#head].confirmed)",
    "while (this.#head < this.#entries.length && this.#entries.some((entry) => entry.confirmed && entry.position > this.#entries[this.#head].position))",
  ),
  mutant(
    "takes all that was sent for confirmed",
    "pipeline/outbox.js",
    "first === undefined ? this.#released : first.position",
    "this.#released",
  ),
  mutant(
    "releases what was held only when more comes",
    "pipeline/pipeline.js",
    "this.#clock.after(waitMs, () => this.#wake())",
    "undefined",
  ),
];

const judging: readonly Mutant[] = [
  mutant("steps duplicates", "message/identity.js", ": DUPLICATE;", ": NEXT;"),
  mutant(
    "drops whatever is marked as sent before",
    "pipeline/admit.js",
    "return delivery.qos === 1 && delivery.dup && this.#fold.isWeakRepeat(delivery.packetId, contentHash(batch));",
    "return delivery.dup;",
  ),
  mutant(
    "takes every message without identity",
    "pipeline/admit.js",
    "return delivery.qos === 1 && delivery.dup &&",
    "return false &&",
  ),
  mutant("does not journal what becomes of a session", "pipeline/broker-session.js", "this.#options.ledger.push(event);", ""),
  mutant(
    "connects before it is noted that it does",
    "pipeline/pipeline.js",
    "this.#commit.synced().then(item.noted, () => { });",
    "item.noted();",
  ),
  mutant("believes the next answer about a session", "pipeline/broker-session.js", "if (fold.sessionInDoubt) {", "if (false) {"),
  mutant(
    "forgets in a checkpoint that a session is in doubt",
    "pipeline/snapshot.js",
    "head.u8(fold.sessionInDoubt ? 1 : 0);",
    "head.u8(0);",
  ),
  mutant(
    "keeps packet ids in another session",
    "pipeline/broker-session.js",
    'if (outcome === "began" && fold.weakDeliveries.size > 0)',
    "if (false)",
  ),
  mutant("takes two devices for one", "message/identity.js", "if (next.nonce !== last.nonce)\n        return BOOT_CONFLICT;", ""),
  mutant(
    "believes a lower boot at once",
    "pipeline/last-seen.js",
    "return this.#atMs[row] ?? this.#startMs;",
    "return -Infinity;",
  ),
  mutant(
    "measures silence on the wall clock",
    "pipeline/judge-readings.js",
    "next.seenMs = this.#clock.monotonicMs();",
    "next.seenMs = this.#clock.wallMs() - Date.UTC(2026, 0, 1);",
  ),
  mutant("ignores gaps", "pipeline/accepted-readings.js", "const broken = missed > 0 ||", "const broken ="),
  mutant("ignores restarts", "pipeline/stream-group.js", "return restarted && columns.steps[row] > 0;", "return false;"),
  mutant(
    "goes past held readings",
    "pipeline/judge-readings.js",
    "if (ref !== undefined && this.#reorder.isDue(ref))",
    "if (false)",
  ),
  mutant("holds without bound", "pipeline/reorder.js", "|| group.held.of(row).length > (bounds?.readings ?? 0)", ""),
  mutant("carries out a command twice", "pipeline/commands.js", "if (known !== undefined)", "if (false)"),
  mutant("steps what is not finite", "pipeline/judge-readings.js", "if (!Number.isFinite(value))", "if (false)"),
  mutant(
    "takes one stream too many",
    "pipeline/admit.js",
    "this.#fold.streamCount >= streamsMax",
    "this.#fold.streamCount > streamsMax",
  ),
  mutant(
    "leaves a bucket to the next stream of its row",
    "pipeline/judge-readings.js",
    "entry.rate?.begin(event.row, this.#clock.monotonicMs());",
    "",
  ),
  mutant(
    "fills buckets twice as fast",
    "pipeline/rate-limit.js",
    "/ 1000) * this.#rate.perSecond",
    "/ 500) * this.#rate.perSecond",
  ),
  mutant(
    "never forgets a stream",
    "pipeline/expiry.js",
    "for (const [key, { group, row }] of expired)",
    "for (const [key, { group, row }] of [])",
  ),
  mutant("forgets a stream that holds readings", "pipeline/expiry.js", "&& group.held.of(row).length === 0", ""),
  mutant("forgets streams by a clock that was set", "pipeline/expiry.js", "if (this.#setAtWallMs >= before)", "if (false)"),
  mutant("counts silence from the last release", "pipeline/accepted-readings.js", "if (!fromHeld)", "if (true)"),
  mutant(
    "looks for a repetition under the present name only",
    "pipeline/admit.js",
    "if (this.#isWeakRepeat(batch))",
    "if (this.#fold.find(batch.key) !== undefined && this.#isWeakRepeat(batch))",
  ),
  mutant(
    "forgets a stream and does not journal it",
    "pipeline/expiry.js",
    'ledger.push({ kind: "streamRemoved", group: group.index, row, key });',
    "",
  ),
  mutant(
    "renames under a name that is taken",
    "pipeline/commands.js",
    "(this.#fold.find(key) === undefined ? undefined :",
    "(true ? undefined :",
  ),
  mutant(
    "decays by half as much",
    "pipeline/stream-group.js",
    "Math.exp(-elapsedMs / gap.tauMs)",
    "Math.exp(-elapsedMs / gap.tauMs / 2)",
  ),
];

const edges: readonly Mutant[] = [
  mutant(
    "acks a message when it comes",
    "pipeline/pipeline.js",
    "this.#commit.whenReleased(() => item.settle());",
    "item.settle();",
  ),
  mutant(
    "answers a command before it is durable",
    "pipeline/pipeline.js",
    "this.#commit.whenReleased(() => item.answered(answer));",
    "item.answered(answer);",
  ),
  mutant(
    "acks in another order than that of arrival",
    "mqtt/ack-queue.js",
    "this.#acknowledge(first.packetId);",
    "this.#acknowledge((this.#tickets[this.#head] ?? first).packetId);",
  ),
  mutant(
    "acks on another connection",
    "mqtt/ack-queue.js",
    "this.#epoch++;\n        this.#tickets = [];\n        this.#head = 0;",
    "",
  ),
  mutant("publishes before the journal is written", "pipeline/commit.js", 'if (durability.mode === "volatile")', "if (true)"),
  mutant(
    "publishes again and again in volatile mode",
    "pipeline/commit.js",
    "group.messages.splice(0)",
    "group.messages.slice()",
  ),
  mutant("takes more messages than the bound", "mqtt/intake.js", "if (fill >= 1)", "if (fill > 1)"),
  mutant(
    "publishes more than the broker takes",
    "mqtt/sink.js",
    "Math.min(this.#windowMax, this.#brokerWindow)",
    "this.#windowMax",
  ),
  mutant("does not repeat what a cut has swallowed", "mqtt/sink.js", "this.#next = this.#head;\n        if", "if"),
  mutant(
    "never gives up what the broker refuses with a reason",
    "mqtt/sink.js",
    "if (error !== undefined && !(error instanceof PublishRefused))",
    "if (error !== undefined)",
  ),
  mutant(
    "gives up what a broken connection left unanswered",
    "mqtt/sink.js",
    "if (error !== undefined && !(error instanceof PublishRefused))",
    "if (false)",
  ),
  mutant(
    "never gives up a message that ends every connection",
    "mqtt/sink.js",
    "const FRUITLESS_BEFORE_REFUSAL = 4;",
    "const FRUITLESS_BEFORE_REFUSAL = Infinity;",
  ),
  mutant(
    "gives up the first message for one behind it",
    "mqtt/sink.js",
    "this.#fruitless >= FRUITLESS_BEFORE_PROBE ? 1 : Math",
    "Math",
  ),
  mutant(
    "never takes messages again after holding back",
    "mqtt/intake.js",
    "else if (fill <= RESUME_BELOW)",
    "else if (fill < 0)",
  ),
  mutant("does not go on when the outbox has room", "pipeline/pipeline.js", "outbox.onRoom(() => this.#wake());", ""),
];

const switches: readonly Mutant[] = [
  mutant(
    "names a model before its file is kept",
    "runtime/model-switch.js",
    "await models.keep(new Set([version]));",
    "models.keep(new Set([version])).catch(() => {});",
  ),
  mutant(
    "names a model whose file is not synced",
    "base/disk.js",
    "await writeFully(file, bytes, 0);\n        await file.datasync();",
    "await writeFully(file, bytes, 0);",
  ),
  mutant("does not rebuild states", "pipeline/stream-group.js", "recent.markStale(row);", ";"),
  mutant(
    "rebuilds a state over what is in it",
    "pipeline/stream-group.js",
    'if (states === "replay")\n                recent.markStale(row);\n            else',
    'if (states === "replay") {\n                recent.markStale(row);\n                engine.step({ slots: Int32Array.of(slot), count: 1, steps: 1, x: new Float32Array(9), y: new Float32Array(9) });\n            }\n            else',
  ),
  mutant(
    "names the present model in a repeat",
    "pipeline/recover.js",
    "await this.flush();\n                await this.#fold.apply(event);",
    "await this.#fold.apply(event);\n                await this.flush();",
  ),
  mutant(
    "names the config's model in predictions",
    "pipeline/compose.js",
    "shortVersion(group.settings.version)",
    "shortVersion(group.settings.configured)",
  ),
  mutant("switches in the middle of what is staged", "pipeline/enter-epoch.js", "await ledger.flush();", ""),
  mutant("writes streams down as another model has them", "pipeline/fold.js", "this.#touchAll(group);", ";"),
  mutant(
    "forgets last readings in a checkpoint",
    "pipeline/recent-readings.js",
    "const count = this.count(row);\n        into",
    "const count = 0;\n        into",
  ),
  mutant(
    "takes a state for rebuilt in a checkpoint",
    "pipeline/recent-readings.js",
    "if (from.u8() === 1)\n            this.markStale(row);",
    "from.u8();",
  ),
  mutant("rebuilds without decay", "pipeline/recent-readings.js", 'decay === 1 ? "none" : "decay"', '"none"'),
  mutant(
    "keeps the readings before a state that was set",
    "pipeline/stream-group.js",
    "setState(row, state) {\n        this.recent.forget(row);",
    "setState(row, state) {",
  ),
  mutant(
    "goes back to the config's model at every start",
    "runtime/plan-epoch.js",
    "if (settings.configured === version)",
    "if (settings.configured === version && settings.version === version)",
  ),
  mutant(
    "removes a model that a checkpoint leads back to",
    "runtime/model-shelf.js",
    "position <= firstPosition",
    "position >= 0",
  ),
];

const updates: readonly Mutant[] = [
  mutant("takes an update with a lower counter", "runtime/judge-update.js", "manifest.counter <= last.counter", "false"),
  mutant(
    "keeps the counters of updates in memory only",
    "runtime/update-record.js",
    "await replaceFile(this.#disk, this.#path, Buffer.from(`${JSON.stringify({ format: 1, groups })}\\n`));",
    "",
  ),
  mutant("takes an update whoever signed it", "message/update-manifest.js", "if (!verify(", "if (false && !verify("),
  mutant("takes the update of another node", "runtime/judge-update.js", "meant !== `${node}/${group}`", "false"),
  mutant("takes an update that has expired", "runtime/judge-update.js", "clock.wallMs() < expires", "true"),
  mutant("takes any chunk of an update", "runtime/update-transfer.js", "hashOf(payload) !== manifest.chunks[index]", "false"),
];

const rolling: readonly Mutant[] = [
  mutant("forgets what waits for its readings over a restart", "engine/rolled-engine.js", "this.#arena.write(slot, own);", ""),
  mutant("holds forecasts against readings beyond a gap", "engine/rolled-engine.js", "this.#errors.forget(slot);", ""),
  mutant(
    "holds what stands in for a value against its forecast",
    "engine/forecast-errors.js",
    "missing !== undefined && missing[xFrom + d] !== 0",
    "false",
  ),
  mutant(
    "resets a stream that it has yet to rebuild, errors and all",
    "pipeline/stream-group.js",
    "!forgets || this.engine.fade !== undefined",
    "!forgets",
  ),
  mutant(
    "gives a switched model its file's outputs",
    "runtime/stream-groups.js",
    "(wanted.version), wanted.horizons)",
    "(wanted.version), undefined)",
  ),
];

export const mutants: readonly Mutant[] = [
  ...journal,
  ...checkpoint,
  ...replay,
  ...judging,
  ...edges,
  ...switches,
  ...updates,
  ...rolling,
];
