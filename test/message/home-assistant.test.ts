import t from "tap";
import { discoveryTopic, encodeDiscovery } from "../../src/message/home-assistant.ts";
import type { AnnouncedStream } from "../../src/message/home-assistant.ts";

const announced: AnnouncedStream = {
  node: "box-1",
  stream: "press-4",
  group: "presses",
  version: "9f86d081884c7d65",
  outputs: [
    { name: "temperature", unit: "°C" },
    { name: 'say "hi"', unit: "" },
  ],
  isScored: true,
  predictionTopic: "hiddenstate/box-1/prediction/press-4",
  takesCommands: true,
  tunes: true,
};

function components(of: AnnouncedStream): Record<string, Record<string, string>> {
  return (JSON.parse(Buffer.from(encodeDiscovery(of)).toString()) as { components: Record<string, Record<string, string>> })
    .components;
}

const ONCE =
  '"transaction":"home-assistant-{{ now().timestamp() }}","expires":"{{ (now() + timedelta(minutes=1)).isoformat() }}"';

/** A button as it is announced, with what its command is about. */
function button(name: string, command: string, fields = '"stream":"press-4"'): Record<string, string> {
  return {
    p: "button",
    name,
    unique_id: `hiddenstate_box-1_press-4_${command}`,
    command_topic: `hiddenstate/box-1/command/${command}`,
    command_template: `{${ONCE},${fields}}`,
    entity_category: "config",
  };
}

t.test(
  "a stream is one device: a sensor for each output, score and alarm, a button for each command, the budget as a number",
  async (t) => {
    t.strictSame(JSON.parse(Buffer.from(encodeDiscovery(announced)).toString()), {
      device: {
        identifiers: ["hiddenstate_box-1_press-4"],
        name: "press-4",
        manufacturer: "hiddenstate",
        model: "presses",
        sw_version: "9f86d081884c7d65",
      },
      origin: { name: "hiddenstate" },
      components: {
        output_0: {
          p: "sensor",
          name: "temperature",
          unique_id: "hiddenstate_box-1_press-4_output_0",
          value_template: '{{ value_json.outputs["temperature"][-1] }}',
          state_class: "measurement",
          unit_of_measurement: "°C",
        },
        output_1: {
          p: "sensor",
          name: 'say "hi"',
          unique_id: "hiddenstate_box-1_press-4_output_1",
          value_template: '{{ value_json.outputs["say \\"hi\\""][-1] }}',
          state_class: "measurement",
        },
        score: {
          p: "sensor",
          name: "Anomaly score",
          unique_id: "hiddenstate_box-1_press-4_score",
          value_template: '{{ value_json.outputs["score"][-1] }}',
          state_class: "measurement",
        },
        alarm: {
          p: "binary_sensor",
          name: "Anomaly",
          unique_id: "hiddenstate_box-1_press-4_alarm",
          device_class: "problem",
          value_template: `{{ 'ON' if value_json.outputs["alarm"][-1] == 1 else 'OFF' }}`,
        },
        reset: button("Reset state", "reset"),
        mute: button("Mute for 2 hours", "mute", '"stream":"press-4","until":"{{ (now() + timedelta(hours=2)).isoformat() }}"'),
        unmute: button("Raise alarms again", "unmute"),
        normal: button("Last alarm was nothing", "normal"),
        fault: button("Last alarm was a fault", "fault"),
        budget: {
          p: "number",
          name: "Alarm budget",
          unique_id: "hiddenstate_box-1_press-4_budget",
          state_topic: "hiddenstate/box-1/budget/press-4",
          value_template: "{{ value_json.perWeek }}",
          command_topic: "hiddenstate/box-1/command/budget",
          command_template: `{${ONCE},"stream":"press-4","budget":"{{ value }}/week"}`,
          min: 0.01,
          max: 10_000,
          step: 0.01,
          mode: "box",
          unit_of_measurement: "per week",
          entity_category: "config",
        },
        tune: button("Fine-tune now", "tune", '"group":"presses"'),
      },
      state_topic: "hiddenstate/box-1/prediction/press-4",
      availability_topic: "hiddenstate/box-1/state",
      qos: 1,
    });
    t.strictSame(Object.keys(components({ ...announced, isScored: false, takesCommands: false })), ["output_0", "output_1"]);
    t.strictSame(Object.keys(components({ ...announced, isScored: false, tunes: false })), ["output_0", "output_1", "reset"]);
  },
);

t.test("streams whose keys have other characters have topics that are allowed, and each its own", async (t) => {
  t.equal(discoveryTopic("homeassistant", "box-1", "press-4"), "homeassistant/device/hiddenstate_box-1_press-4/config");
  const keys = ["l1/d7", "l1.d7", "l1 d7", "l1_d7", "büro", "b_ro"];
  const topics = keys.map((key) => discoveryTopic("ha/x", "box.1", key));
  for (const topic of topics) t.match(topic, /^ha\/x\/device\/[A-Za-z0-9_-]+\/config$/);
  t.equal(new Set(topics).size, keys.length);
});
