// Streams as devices of Home Assistant, by its MQTT discovery (one retained message a device, Home Assistant 2024.11 and later): what the
// model gives as sensors, the score, the alarm as a problem, and, where commands are taken, buttons for them and the alarm budget as a number.
import { crc32c } from "../base/crc32c.ts";
import { limits } from "../base/limits.ts";
import { alarmOutput, scoreOutput } from "./score-outputs.ts";
import { budgetTopic, commandTopic, stateTopic } from "./topics.ts";

export interface AnnouncedOutput {
  readonly name: string;
  /** Empty where it has none. */
  readonly unit: string;
}

export interface AnnouncedStream {
  readonly node: string;
  readonly stream: string;
  /** The group that it belongs to. */
  readonly group: string;
  /** Of the model. */
  readonly version: string;
  readonly outputs: readonly AnnouncedOutput[];
  readonly isScored: boolean;
  /** Where its predictions come as JSON. */
  readonly predictionTopic: string;
  /** Commands are taken over MQTT. */
  readonly takesCommands: boolean;
  /** The group's model can be fine-tuned. */
  readonly tunes: boolean;
}

/** What Home Assistant says on its status topic when it has started. */
export const HOME_ASSISTANT_ONLINE = "online";

const encoder = new TextEncoder();
const OTHER_CHARACTERS = /[^A-Za-z0-9_-]/g;

/** Where Home Assistant says that it has started. */
export function homeAssistantStatusTopic(prefix: string): string {
  return `${prefix}/status`;
}

/** The stream's id there, of `A-Za-z0-9_-` alone: what has other characters is told apart by a checksum. */
function objectId(node: string, stream: string): string {
  const plain = `hiddenstate_${node}_${stream}`;
  const id = plain.replaceAll(OTHER_CHARACTERS, "_");
  return id === plain ? id : `${id}_${crc32c(encoder.encode(plain)).toString(16).padStart(8, "0")}`;
}

/** Where a stream is announced; an empty retained message there takes it back. */
export function discoveryTopic(prefix: string, node: string, stream: string): string {
  return `${prefix}/device/${objectId(node, stream)}/config`;
}

/** The newest value of an output in a prediction. */
function newest(output: string): string {
  return `value_json.outputs[${JSON.stringify(output)}][-1]`;
}

type Component = Readonly<Record<string, unknown>>;

function sensor(id: string, { name, unit }: AnnouncedOutput): Component {
  return {
    p: "sensor",
    name,
    unique_id: id,
    value_template: `{{ ${newest(name)} }}`,
    state_class: "measurement",
    ...(unit === "" ? {} : { unit_of_measurement: unit }),
  };
}

/** A command as Home Assistant is to make it: once, and not hours later. */
function commandTemplate(fields: Readonly<Record<string, string>>): string {
  return JSON.stringify({
    transaction: "home-assistant-{{ now().timestamp() }}",
    expires: "{{ (now() + timedelta(minutes=1)).isoformat() }}",
    ...fields,
  });
}

interface Button {
  readonly name: string;
  readonly command: string;
  /** What the command has beside its stream. */
  readonly fields?: Readonly<Record<string, string>>;
}

const RESET: Button = { name: "Reset state", command: "reset" };
/** Of a stream that is scored. */
const ALARM_BUTTONS: readonly Button[] = [
  { name: "Mute for 2 hours", command: "mute", fields: { until: "{{ (now() + timedelta(hours=2)).isoformat() }}" } },
  { name: "Raise alarms again", command: "unmute" },
  { name: "Last alarm was nothing", command: "normal" },
  { name: "Last alarm was a fault", command: "fault" },
];

function commandButton(id: string, node: string, command: string, name: string, template: string): Component {
  return {
    p: "button",
    name,
    unique_id: `${id}_${command}`,
    command_topic: commandTopic(node, command),
    command_template: template,
    entity_category: "config",
  };
}

/** The alarm budget, as a number of alarms a week. */
function budgetNumber(id: string, { node, stream }: AnnouncedStream): Component {
  return {
    p: "number",
    name: "Alarm budget",
    unique_id: `${id}_budget`,
    state_topic: budgetTopic(node, stream),
    value_template: "{{ value_json.perWeek }}",
    command_topic: commandTopic(node, "budget"),
    command_template: commandTemplate({ stream, budget: "{{ value }}/week" }),
    min: limits.alarmsPerWeekMin,
    max: limits.alarmsPerWeekMax,
    step: limits.alarmsPerWeekMin,
    mode: "box",
    unit_of_measurement: "per week",
    entity_category: "config",
  };
}

/** What can be done to a stream from there. */
function commandComponents(id: string, announced: AnnouncedStream): Record<string, Component> {
  const { node, stream, group, isScored, tunes } = announced;
  const components: Record<string, Component> = {};
  for (const { command, name, fields } of isScored ? [RESET, ...ALARM_BUTTONS] : [RESET])
    components[command] = commandButton(id, node, command, name, commandTemplate({ stream, ...fields }));
  if (isScored) components["budget"] = budgetNumber(id, announced);
  // Of the whole group, from whichever of its devices.
  if (tunes) components["tune"] = commandButton(id, node, "tune", "Fine-tune now", commandTemplate({ group }));
  return components;
}

/** The payload that announces a stream. */
export function encodeDiscovery(announced: AnnouncedStream): Uint8Array {
  const { node, stream, group, version, outputs, isScored } = announced;
  const id = objectId(node, stream);
  const components: Record<string, Component> = {};
  for (const [index, output] of outputs.entries()) components[`output_${index}`] = sensor(`${id}_output_${index}`, output);
  if (isScored) {
    components["score"] = { ...sensor(`${id}_score`, { name: scoreOutput, unit: "" }), name: "Anomaly score" };
    components["alarm"] = {
      p: "binary_sensor",
      name: "Anomaly",
      unique_id: `${id}_alarm`,
      device_class: "problem",
      value_template: `{{ 'ON' if ${newest(alarmOutput)} == 1 else 'OFF' }}`,
    };
  }
  if (announced.takesCommands) Object.assign(components, commandComponents(id, announced));
  return encoder.encode(
    JSON.stringify({
      device: { identifiers: [id], name: stream, manufacturer: "hiddenstate", model: group, sw_version: version },
      origin: { name: "hiddenstate" },
      components,
      state_topic: announced.predictionTopic,
      availability_topic: stateTopic(node),
      qos: 1,
    }),
  );
}
