// What every arena refuses before it reads or writes a row: tensors that are not the model's, name by name and value by value.
import { HiddenstateError } from "../base/errors.ts";
import type { StateTensors } from "./engine.ts";

export interface NamedLength {
  readonly name: string;
  readonly length: number;
}

/** Throws `bad_state` unless the tensors are those that `states` names, of those lengths. */
export function checkTensors(states: readonly NamedLength[], tensors: StateTensors, verb: "read" | "write"): void {
  const names = Object.keys(tensors);
  const fits = names.length === states.length && states.every(({ name, length }) => tensors[name]?.length === length);
  if (fits) return;
  const right = states.map(({ name, length }) => `${name} of ${length}`).join(", ");
  const found = names.map((name) => `${name} of ${tensors[name]!.length}`).join(", ");
  throw new HiddenstateError(
    "bad_state",
    `cannot ${verb} a state: its tensors are ${found || "none"}, and the model's are ${right}`,
  );
}
