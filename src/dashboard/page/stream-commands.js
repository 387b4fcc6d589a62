// What can be done to a stream's state: reset it, save it, put a saved one back. Each change is confirmed before, and told after.
import { confirm, refusalWords } from "./confirm.js";
import { element, setText } from "./element.js";
import { ask } from "./live.js";
import { sendCommand } from "./send-command.js";

const OFF = "States can be changed from here only where the config says dashboard.commands: true.";

async function save(stream, answer) {
  try {
    const state = await ask(`state?stream=${encodeURIComponent(stream)}`);
    const url = URL.createObjectURL(new Blob([JSON.stringify(state, undefined, 2)], { type: "application/json" }));
    element("a", { href: url, download: "state.json" }).click();
    URL.revokeObjectURL(url);
  } catch (thrown) {
    setText(answer, refusalWords(thrown));
  }
}

/** Buttons for a stream; `allowed` says whether the config lets states be changed. */
export function streamCommands(stream, allowed) {
  const answer = element("p", { class: "answer", role: "status" });
  const change = (name, more, done) => async () => {
    await sendCommand(name, { stream, ...more });
    setText(answer, done);
  };
  const reset = () =>
    confirm(
      "Reset this state?",
      stream,
      "The network forgets what it has seen of this stream and begins as with a new one: predictions will be worse for a while. This cannot be undone, unless you save the state first.",
      "Reset the state",
      change("reset", {}, "The state was reset."),
    );
  const take = async () => {
    const text = await file.files[0]?.text();
    file.value = "";
    if (text === undefined) return;
    try {
      const { state } = JSON.parse(text);
      confirm(
        "Put this state in?",
        stream,
        "The stream goes on from the state in the file. It must be of the same model.",
        "Put it in",
        change("set", { state }, "The state was put in."),
      );
    } catch {
      setText(answer, "This file is no saved state.");
    }
  };
  const accept = "application/json,.json";
  const file = element("input", { type: "file", accept, hidden: true, onchange: () => void take() });
  return element(
    "div",
    { class: "commands" },
    element(
      "div",
      { class: "buttons" },
      element("button", { type: "button", class: "danger", disabled: !allowed, onclick: reset }, "Reset state…"),
      element("button", { type: "button", class: "quiet", onclick: () => void save(stream, answer) }, "Save state"),
      element("button", { type: "button", class: "quiet", disabled: !allowed, onclick: () => file.click() }, "Put a state in…"),
      file,
    ),
    answer,
    allowed ? undefined : element("p", { class: "explanation" }, OFF),
  );
}
