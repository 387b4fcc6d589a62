// What the page may change, where the config lets it: a stream's state, and which model steps a group.
import { HiddenstateError } from "../base/errors.ts";
import type { LogFields } from "../base/log.ts";
import type { Control } from "../runtime/control.ts";

export interface CarriedOut {
  readonly answer: unknown;
  /** For the log: what has happened, and to what. */
  readonly done: string;
  readonly about: LogFields;
}

/** `{command: "reset" | "set", stream, transaction, state}` or `{command: "restore" | "rollback" | "tune", group, version}`. */
export async function carryOut(control: Control, asked: unknown): Promise<CarriedOut> {
  const fields = new Map<string, unknown>(Object.entries(asked ?? {}));
  const text = (name: string): string => {
    const value = fields.get(name);
    return typeof value === "string" ? value : "";
  };
  const about = { stream: text("stream") };
  const group = text("group");
  const command = fields.get("command");
  switch (command) {
    case "reset":
      return { answer: await control.handle(command, asked), done: "a state was reset", about };
    case "set":
      return { answer: await control.handle(command, asked), done: "a state was set", about };
    case "restore":
      return { answer: await control.restoreModel(text("version"), group), done: "a model was put in force", about: { group } };
    case "rollback":
      return { answer: await control.rollbackModel(group), done: "a model was rolled back", about: { group } };
    case "tune":
      return { answer: await control.fineTune(group), done: "a fine-tune was asked for", about: { group } };
    default:
      throw new HiddenstateError(
        "bad_argument",
        "cannot do that: the page can reset and set states, restore and roll back models, and tune",
      );
  }
}
