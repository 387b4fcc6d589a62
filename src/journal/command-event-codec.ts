// The bytes of the events that are commands on a stream: whose they are, then what each is about.
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { StateTensors } from "../engine/engine.ts";
import { countWithin } from "./event-fields.ts";
import type { CommandEvent } from "./events.ts";

export function encodeStateTensors(into: ByteWriter, state: StateTensors): void {
  const entries = Object.entries(state);
  into.varint(entries.length);
  for (const [name, values] of entries) {
    into.text(name);
    into.varint(values.length);
    into.f32Array(values);
  }
}

export function decodeStateTensors(from: ByteReader): StateTensors {
  const state: Record<string, Float32Array> = {};
  const count = countWithin(from, from.varint());
  for (let i = 0; i < count; i++) {
    const name = from.text();
    const values = new Float32Array(countWithin(from, from.varint()));
    from.f32Array(values);
    state[name] = values;
  }
  return state;
}

export function encodeCommand(into: ByteWriter, event: CommandEvent): void {
  into.varint(event.group);
  into.varint(event.row);
  into.text(event.transaction);
  into.u8(event.reply ? 1 : 0);
  switch (event.kind) {
    case "stateSet":
      return encodeStateTensors(into, event.state);
    case "stateReset":
      return;
    case "streamRenamed":
      into.text(event.from);
      return into.text(event.key);
    case "alarmMuted":
      into.varint(event.until);
      return into.blob(event.alarm);
    case "alarmCalled":
      into.u8(event.verdict === "fault" ? 1 : 0);
      return into.blob(event.alarm);
    case "budgetSet":
      return into.f64(event.perWeek);
  }
}

export function decodeCommand(from: ByteReader, kind: CommandEvent["kind"]): CommandEvent {
  const fields = { group: from.varint(), row: from.varint(), transaction: from.text(), reply: from.u8() === 1 };
  switch (kind) {
    case "stateSet":
      return { kind, ...fields, state: decodeStateTensors(from) };
    case "stateReset":
      return { kind, ...fields };
    case "streamRenamed":
      return { kind, ...fields, from: from.text(), key: from.text() };
    case "alarmMuted":
      return { kind, ...fields, until: from.varint(), alarm: from.blob() };
    case "alarmCalled":
      return { kind, ...fields, verdict: from.u8() === 1 ? "fault" : "normal", alarm: from.blob() };
    case "budgetSet":
      return { kind, ...fields, perWeek: from.f64() };
  }
}
