// Examples of each command, for its --help and for docs/commands.md. A test holds their commands and options against the program.

/** By command: how it is used most. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  demo: [
    "hiddenstate demo",
    "hiddenstate demo --devices 200 --rate 20 --state demo-state",
    "hiddenstate demo --seconds 15 --json",
  ],
  init: [
    "hiddenstate init",
    "hiddenstate init config.yaml --broker mqtt://127.0.0.1 --preset zigbee2mqtt --learn",
    "hiddenstate init press.yaml --yes --topic 'plant/{device}/readings' --model models/press.onnx",
  ],
  check: ["hiddenstate check config.yaml", "hiddenstate check config.yaml --json"],
  doctor: ["hiddenstate doctor config.yaml --rate 200", "hiddenstate doctor config.yaml --json"],
  bench: ["hiddenstate bench", "hiddenstate bench config.yaml --rounds 9 --json"],
  watch: [
    "hiddenstate watch mqtt://127.0.0.1 'zigbee2mqtt/#'",
    "hiddenstate watch mqtts://broker.example '#' --username box --password-file ./password --budget 1/month",
  ],
  run: ["hiddenstate run config.yaml", "hiddenstate run config.yaml --dashboard"],
  status: ["hiddenstate status --state ./state", "hiddenstate status --state ./state --json"],
  simulate: [
    "hiddenstate simulate --devices 50 --rate 10",
    "hiddenstate simulate --devices 5 --codec json --topic 'plant/a/{device}/readings' --quirks repeat,restart",
    "hiddenstate simulate --replay readings.csv --time timestamp --speed 1000x",
    "hiddenstate simulate --replay recorded.jsonl --speed 10",
  ],
  record: [
    "hiddenstate record mqtt://127.0.0.1 'zigbee2mqtt/#' --out recorded.jsonl",
    "hiddenstate record mqtts://broker.example 'plant/#' --username box --password-file ./password --seconds 3600 --out hour.jsonl",
  ],
  alarms: [
    "hiddenstate alarms list --state ./state",
    "hiddenstate alarms mute a/press-7 --for 2h --state ./state",
    "hiddenstate alarms normal a/press-7 --state ./state",
    "hiddenstate alarms fault a/press-7 --state ./state",
    "hiddenstate alarms budget a/press-7 1/month --state ./state",
  ],
  models: [
    "hiddenstate models list --state ./state",
    "hiddenstate models promote press-2.onnx --group presses --state ./state",
    "hiddenstate models rollback --group presses --state ./state",
    "hiddenstate models export 5f0c93e1 press.onnx --state ./state",
  ],
  keys: ["hiddenstate keys new release", "hiddenstate keys show release.key"],
  "publish-model": [
    "hiddenstate publish-model config.yaml press-2.onnx --group presses --key release.key --counter 2 --expires 7d",
    "hiddenstate publish-model mqtts://broker.example press-2.onnx --node hall-3 --group presses --key release.key --counter 2 --expires 7d --username publisher --password-file ./password",
    "hiddenstate publish-model config.yaml --group presses --remove",
  ],
  inspect: [
    "hiddenstate inspect models/press.onnx",
    "hiddenstate inspect state --json",
    "hiddenstate inspect state/journal/segment-000001 --stream a/press-7 --limit 20",
  ],
  train: [
    "hiddenstate train readings.csv --time timestamp --features temperature,pressure --target temperature --out models/press.onnx",
    "hiddenstate train readings.csv --time timestamp --stream press --target temperature --hidden 32 --period 24 --out press.onnx",
  ],
  verify: ["hiddenstate verify models/press.onnx"],
  completion: ["hiddenstate completion bash > ~/.hiddenstate-completion", "hiddenstate completion zsh > ~/.zfunc/_hiddenstate"],
  proto: ["hiddenstate proto compile reading.proto --message plant.Reading --out reading.schema.json"],
  state: [
    "hiddenstate state list --state ./state",
    "hiddenstate state get a/press-7 --state ./state > press-7.json",
    "hiddenstate state set a/press-7 press-7.json --state ./state",
    "hiddenstate state reset a/press-7 --state ./state",
    "hiddenstate state export all.json --state ./state",
  ],
};
