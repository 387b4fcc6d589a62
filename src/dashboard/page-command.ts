// What the page may change, where the config lets it: a stream's state, what is said of its alarms, and which model steps a group.
import { HiddenstateError } from "../base/errors.ts";
import type { LogFields } from "../base/log.ts";
import type { Control } from "../runtime/control.ts";

export interface CarriedOut {
  readonly answer: unknown;
  /** For the log: what has happened, and to what. */
  readonly done: string;
  readonly about: LogFields;
}

/** Of a stream, by the control's own method; and what the log says of it. */
const STREAM_COMMANDS: ReadonlyMap<unknown, string> = new Map([
  ["reset", "a state was reset"],
  ["set", "a state was set"],
  ["mute", "alarms were muted"],
  ["unmute", "alarms were unmuted"],
  ["normal", "an alarm was called normal"],
  ["fault", "an alarm was called a fault"],
  ["budget", "an alarm budget was set"],
]);

/** `{command, stream, transaction, state, until, budget}`, or `{command: "restore" | "rollback" | "tune", group, version}`. */
export async function carryOut(control: Control, asked: unknown): Promise<CarriedOut> {
  const fields = new Map<string, unknown>(Object.entries(asked ?? {}));
  const text = (name: string): string => {
    const value = fields.get(name);
    return typeof value === "string" ? value : "";
  };
  const command = text("command");
  const done = STREAM_COMMANDS.get(command);
  if (done !== undefined) return { answer: await control.handle(command, asked), done, about: { stream: text("stream") } };
  const group = text("group");
  switch (command) {
    case "restore":
      return { answer: await control.restoreModel(text("version"), group), done: "a model was put in force", about: { group } };
    case "rollback":
      return { answer: await control.rollbackModel(group), done: "a model was rolled back", about: { group } };
    case "tune":
      return { answer: await control.fineTune(group), done: "a fine-tune was asked for", about: { group } };
    default: {
      const can =
        "the page can reset and set states, mute alarms, say what one was and set budgets, restore and roll back models, and tune";
      throw new HiddenstateError("bad_argument", `cannot do that: ${can}`);
    }
  }
}
