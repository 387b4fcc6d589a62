// Whether all is well, in words: what keeps readings from coming in or predictions from going out, and what to look at.
import type { Status } from "../runtime/status.ts";

export interface Trouble {
  /** `stop`: readings do not come in or predictions do not go out. `warn`: they do, and something should be looked at. */
  readonly severity: "stop" | "warn";
  readonly title: string;
  readonly detail: string;
}

const LOW_DISK_BYTES = 100 * 1024 * 1024;

function brokerTroubles({ broker }: Status, url: string): Trouble[] {
  const { intake, sink } = broker;
  if (intake && sink) return [];
  const again = `It is tried again after 1 to 60 seconds; check that the broker at ${url} runs and lets us in.`;
  if (!intake && !sink) {
    const detail = `No readings come in and no predictions go out. States are kept, and predictions wait. ${again}`;
    return [{ severity: "stop", title: "The broker cannot be reached", detail }];
  }
  const what = intake
    ? { title: "Predictions do not go out", detail: `They wait and are not lost. ${again}` }
    : { title: "No readings come in", detail: `The broker keeps what devices send for us, as long as its queue lasts. ${again}` };
  return [{ severity: "stop", ...what }];
}

function diskTroubles({ metrics }: Status, freeBytes: number | undefined): Trouble[] {
  if (metrics["disk_full"] === 1) {
    const detail = "Nothing is acknowledged any more, so the broker keeps what comes. It goes on by itself once there is room.";
    return [{ severity: "stop", title: "The disk is full", detail }];
  }
  if (freeBytes === undefined || freeBytes > LOW_DISK_BYTES) return [];
  const left = `${Math.round(freeBytes / 1024 / 1024)} MiB are left where the state lies.`;
  return [{ severity: "warn", title: "The disk is nearly full", detail: `${left} When it is full, readings wait.` }];
}

/** What is wrong, the worst first; empty where nothing is. */
export function troublesOf(status: Status, url: string, freeBytes: number | undefined): Trouble[] {
  const { metrics, outbox } = status;
  const troubles = [...brokerTroubles(status, url), ...diskTroubles(status, freeBytes)];
  if (metrics["intake_held"] === 1 && metrics["disk_full"] !== 1) {
    const detail = `More comes in than goes out: ${outbox.messages} predictions wait to be confirmed by the broker, which is held back meanwhile.`;
    troubles.push({ severity: "warn", title: "Readings wait", detail });
  }
  if (metrics["journal_damaged"] === 1) {
    const detail =
      "What was once durable is gone: the journal was found damaged at the start. Its files are set aside as damaged-*.";
    troubles.push({ severity: "warn", title: "The disk has lost data", detail });
  }
  return troubles;
}
