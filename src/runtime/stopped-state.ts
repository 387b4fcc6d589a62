// A state directory that no runtime is working on, opened to be asked and changed: the same pipeline, without a broker. The directory is
// taken for as long as that lasts.
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { createSystemRandom } from "../base/random.ts";
import { Metrics } from "../base/metrics.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { Routes } from "../pipeline/routes.ts";
import { Control } from "./control.ts";
import { ControlClient, ControlSocket } from "./control-socket.ts";
import { StateDirectory } from "./state-directory.ts";

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
    const outbox = await state.begin();
    const { node } = state.fold.settings;
    const { fold, journal, checkpoints, reserve } = state;
    const durability = { mode: "strict", lingerMs: 0 } as const;
    const options = {
      node,
      fold,
      journal,
      checkpoints,
      reserve,
      durability,
      bytesPerSecond: Infinity,
      outbox,
      clock,
      log: silentLog,
      metrics,
      checkpointPosition: recovered.checkpointPosition,
    };
    const { promise: failed, reject: fail } = rejectable();
    const routes = new Routes(node, [], { commands: false, streamsMax: 1 });
    const pipeline = new Pipeline({ ...options, routes, streamsMax: fold.streamCount, streamExpiryMs: Infinity, onFatal: fail });
    const control = new Control(fold, pipeline, random);
    return {
      request: (method, params) => Promise.race([control.handle(method, params), failed]),
      close: async () => {
        await pipeline.drain();
        await state.close();
        await socket.close();
      },
    };
  } catch (thrown) {
    await socket.close();
    throw thrown;
  }
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
