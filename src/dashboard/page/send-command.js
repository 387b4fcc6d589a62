// A command to the runtime: what is asked twice by mistake is done once.
import { ask } from "./live.js";

/** Resolves once it is carried out for good; throws `Refused` with the reason where it is not. */
export function sendCommand(command, fields) {
  const transaction = crypto.randomUUID?.() ?? `${Date.now()}-${performance.now()}`;
  return ask("command", { command, transaction, ...fields });
}
