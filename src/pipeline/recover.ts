// From disk back to where the runtime was: the last checkpoint, then every event after it through the same fold. What a replayed step
// gives is held against the outputs in the journal; repeated messages are made from those outputs, never from the recomputed ones.
import type { Metrics } from "../base/metrics.ts";
import type { CheckpointFiles } from "../journal/checkpoint-file.ts";
import type { JournalEvent, ReadingsEvent } from "../journal/events.ts";
import type { Journal } from "../journal/journal.ts";
import { Composer, speaks } from "./compose.ts";
import type { Fold } from "./fold.ts";
import type { PlacedMessage } from "./ledger.ts";
import { restoreSnapshot } from "./snapshot.ts";

/** Readings staged before they are stepped together. */
const STAGED_MAX = 4096;
/** Of the output's deviation: how far a replay on onnxruntime may be from the outputs kept. */
const INEXACT_TOLERANCE = 1e-4;

export interface Recovered {
  readonly position: number;
  /** 0 without a checkpoint. */
  readonly checkpointPosition: number;
  /** Events replayed after the checkpoint. */
  readonly events: number;
  /** Readings whose replayed outputs are not those in the journal. */
  readonly mismatches: number;
  readonly damaged: boolean;
  /** What the sink's broker may not have. */
  readonly messages: readonly PlacedMessage[];
}

interface Staged {
  readonly event: JournalEvent;
  readonly position: number;
  readonly first: number;
}

class Replay {
  readonly #fold: Fold;
  readonly #composer: Composer;
  #staged: Staged[] = [];
  #messages: PlacedMessage[];
  #mark = 0;
  #mismatches = 0;

  constructor(fold: Fold, messages: PlacedMessage[]) {
    this.#fold = fold;
    this.#composer = new Composer(fold);
    this.#messages = messages;
  }

  get mismatches(): number {
    return this.#mismatches;
  }

  get messages(): readonly PlacedMessage[] {
    return this.#messages.filter(({ position }) => position >= this.#mark);
  }

  async visit(event: JournalEvent, position: number): Promise<void> {
    switch (event.kind) {
      case "readings":
        this.#staged.push({ event, position, first: this.#fold.stageReadings(event) });
        // With those from which a stream is rebuilt.
        if (this.#fold.groups[event.group]!.stepper.count >= STAGED_MAX) await this.flush();
        return;
      case "held":
        this.#fold.applyHeld(event, 0);
        return;
      case "kept":
        this.#fold.applyKept(event);
        return;
      case "notice":
        this.#staged.push({ event, position, first: -1 });
        return;
      case "confirmed":
        this.#mark = event.mark;
        return;
      case "streamAdded":
      case "sessionAsked":
      case "sessionBegan":
      case "sessionKept":
      case "layout":
        return this.#fold.apply(event);
      default:
        await this.flush();
        await this.#fold.apply(event);
        this.#keepMessages({ event, position, first: -1 });
    }
  }

  async flush(): Promise<void> {
    for (const group of this.#fold.groups) if (group.stepper.count > 0) await group.stepper.run();
    for (const staged of this.#staged) {
      if (staged.event.kind === "readings") this.#compare(staged.event, staged.first);
      this.#keepMessages(staged);
    }
    for (const group of this.#fold.groups) group.stepper.clear();
    this.#staged = [];
    this.#messages = this.#messages.filter(({ position }) => position >= this.#mark);
  }

  #keepMessages({ event, position }: Staged): void {
    if (position < this.#mark || !speaks(event)) return;
    for (const message of this.#composer.messagesOf(event)) this.#messages.push({ position, message });
  }

  #compare(event: ReadingsEvent, first: number): void {
    const group = this.#fold.groups[event.group]!;
    const { stepper, outputs, engine, settings, scores } = group;
    // What was judged once is judged again by the outputs kept, whatever engine replays.
    const width = group.outputNames.length;
    const steps = { x: stepper.x, first, y: event.outputs, yFirst: 0, yWidth: width };
    scores?.judge(event, group.columns.keys[event.row]!, steps);
    const exact = engine.deterministic && engine.kernel === settings.kernel;
    for (let i = 0; i < event.count; i++) {
      for (let o = 0; o < outputs; o++) {
        const kept = event.outputs[i * width + o]!;
        const replayed = stepper.y[(first + i) * outputs + o]!;
        if (Object.is(kept, replayed)) continue;
        const scale = Math.max(engine.spec.outputs[o]!.deviation, Math.abs(kept));
        if (!exact && Math.abs(kept - replayed) <= INEXACT_TOLERANCE * scale) continue;
        this.#mismatches++;
        break;
      }
    }
  }
}

/** Brings an empty fold to the journal's end. Reads only. */
export async function recover(fold: Fold, journal: Journal, checkpoints: CheckpointFiles, metrics: Metrics): Promise<Recovered> {
  const checkpoint = await checkpoints.load();
  const messages = checkpoint === undefined ? [] : await restoreSnapshot(checkpoint.chunks, fold);
  const replay = new Replay(fold, messages);
  const checkpointPosition = checkpoint?.position ?? 0;
  const report = await journal.replay(checkpointPosition, (event, position) => replay.visit(event, position));
  await replay.flush();
  metrics.counter("replayed_events").add(report.events);
  metrics.counter("replay_mismatch").add(replay.mismatches);
  metrics.counter("journal_damaged").add(report.damaged ? 1 : 0);
  metrics.counter("checkpoints_damaged").add(checkpoints.damagedCount);
  const { mismatches, messages: unconfirmed } = replay;
  return { ...report, checkpointPosition, mismatches, messages: unconfirmed };
}
