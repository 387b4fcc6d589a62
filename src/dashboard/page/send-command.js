// A command to the runtime, as the page gives it.
import { ask } from "./live.js";

/** Resolves once it is carried out for good; throws `Refused` with the reason where it is not. */
export function sendCommand(command, stream, more) {
  const transaction = crypto.randomUUID?.() ?? `${Date.now()}-${performance.now()}`;
  return ask("command", { command, stream, transaction, ...more });
}
