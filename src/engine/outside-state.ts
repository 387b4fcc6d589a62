// A hidden state that comes from outside: it must be the model's, name by name, before it may touch a stream.
import { HiddenstateError } from "../base/errors.ts";
import type { StateTensors } from "./engine.ts";
import { countOf } from "../kernels/tensor.ts";
import type { StateSpec } from "../model/spec.ts";

/** Above a cell's bound by no more than rounding. */
const BOUND_TOLERANCE = 1e-6;

function refuse(reason: string): never {
  throw new HiddenstateError("bad_state", `cannot set the state: ${reason}`);
}

function checkTensor(spec: StateSpec, value: unknown): Float32Array {
  const count = countOf(spec.shape);
  const what = `"${spec.name}" takes ${count} numbers`;
  if (!Array.isArray(value) && !(value instanceof Float32Array)) refuse(`${what} as an array`);
  if (value.length !== count) refuse(`${what}, not ${value.length}`);
  const tensor = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const number: unknown = value[i];
    if (typeof number !== "number" || !Number.isFinite(Math.fround(number))) refuse(`"${spec.name}"[${i}] is ${String(number)}`);
    if (spec.bound !== undefined && Math.abs(number) > spec.bound + BOUND_TOLERANCE) {
      refuse(`"${spec.name}"[${i}] is ${number}, the cell keeps it within ${spec.bound}`);
    }
    tensor[i] = number;
  }
  return tensor;
}

/**
 * State tensors out of an object of arrays by name, as `state get` prints them. Throws `bad_state` unless names and lengths are the model's,
 * every number is finite in float32 and none is beyond what the cell can reach.
 */
export function parseOutsideState(value: unknown, specs: readonly StateSpec[]): StateTensors {
  const names = specs.map((spec) => spec.name).join(", ");
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(`it is no object with the arrays ${names}`);
  const fields = new Map(Object.entries(value));
  const tensors: Record<string, Float32Array> = {};
  for (const spec of specs) {
    if (!fields.has(spec.name)) refuse(`"${spec.name}" is absent; this model's state has ${names}`);
    tensors[spec.name] = checkTensor(spec, fields.get(spec.name));
    fields.delete(spec.name);
  }
  for (const name of fields.keys()) refuse(`"${name}" is unknown; this model's state has ${names}`);
  return tensors;
}
