// A state directory that no runtime is working on, opened to be asked and changed: the same pipeline, without a broker. The directory is
// taken for as long as that lasts.
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { createSystemRandom } from "../base/random.ts";
import { verifyModel } from "../engine/verify-model.ts";
import { Metrics } from "../base/metrics.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { Routes } from "../pipeline/routes.ts";
import { Control, nothingTunes } from "./control.ts";
import { ControlClient, ControlSocket } from "./control-socket.ts";
import { EngineChoices } from "./engine-choices.ts";
import { ModelSwitch } from "./model-switch.ts";
import { StateDirectory } from "./state-directory.ts";
import type { Opened } from "./state-directory.ts";

/** Something that answers the methods of `Control.handle`. */
export interface ControlAccess {
  request(method: string, params: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * The runtime that owns the directory, or the directory itself where none does. Throws `foreign_state` where it holds no state, and
 * `state_in_use` where another process has just opened it too.
 */
export async function openControl(directory: string): Promise<ControlAccess> {
  const client = await ControlClient.connect(directory);
  if (client !== undefined) {
    return {
      request: (method, params) => client.request(method, params),
      close: async () => client.close(),
    };
  }
  return openStopped(directory);
}

async function openStopped(directory: string): Promise<ControlAccess> {
  const [disk, clock, random, metrics] = [systemDisk, systemClock, createSystemRandom(), new Metrics()];
  const nothing = new HiddenstateError(
    "foreign_state",
    `cannot open ${directory}: there is no hiddenstate journal in it; check --state`,
  );
  if ((await disk.list(`${directory}/journal`)).length === 0) throw nothing;
  const socket = await ControlSocket.open(directory, () => {
    throw new HiddenstateError("unavailable", "cannot answer: another command is working on this state directory; ask again");
  });
  try {
    const { state, recovered } = await StateDirectory.recover({ disk, directory, clock, random, metrics }, [], "stop");
    if (recovered.position === 0) throw nothing;
    const { promise: failed, reject: fail } = rejectable();
    const pipeline = await openPipeline({ state, recovered }, clock, metrics, fail);
    const models = new ModelSwitch({
      fold: state.fold,
      pipeline,
      models: state.models,
      choices: await EngineChoices.load(disk, directory),
      groups: [],
      disk,
      clock,
      log: silentLog,
      verifyModel,
    });
    const control = new Control(state.fold, pipeline, models, random);
    return {
      request: (method, params) => Promise.race([control.handle(method, params), failed]),
      close: async () => {
        await pipeline.drain();
        await pipeline.checkpointSettled();
        await state.close();
        await socket.close();
      },
    };
  } catch (thrown) {
    await socket.close();
    throw thrown;
  }
}

/** The pipeline of a state directory without a broker. */
async function openPipeline(
  { state, recovered }: Opened,
  clock: Clock,
  metrics: Metrics,
  onFatal: (thrown: unknown) => void,
): Promise<Pipeline> {
  const outbox = await state.begin();
  const { fold, journal, checkpoints, reserve } = state;
  const { node } = fold.settings;
  return new Pipeline({
    node,
    fold,
    journal,
    checkpoints,
    reserve,
    durability: { mode: "strict", lingerMs: 0 },
    bytesPerSecond: Infinity,
    outbox,
    routes: new Routes(node, [], { commands: false, streamsMax: 1 }),
    fineTune: () => Promise.reject(nothingTunes()),
    clock,
    log: silentLog,
    metrics,
    streamsMax: fold.streamCount,
    streamExpiryMs: Infinity,
    checkpointPosition: recovered.checkpointPosition,
    onFatal,
  });
}

/** A promise that never resolves, and what rejects it; nobody need wait for it. */
function rejectable(): { readonly promise: Promise<never>; readonly reject: (thrown: unknown) => void } {
  let reject!: (thrown: unknown) => void;
  const promise = new Promise<never>((_, fail) => {
    reject = fail;
  });
  promise.catch(() => {});
  return { promise, reject };
}
