// What can be said of a stream's alarms: that it may be silent for a while, that the last alarm was nothing, or that it was a fault, and how many
// are few enough. Each can be said otherwise later, so nothing is asked first.
import { tellOutcome } from "./confirm.js";
import { element, setText } from "./element.js";
import { sendCommand } from "./send-command.js";
import { value } from "./words.js";

const OFF = "Alarms can be muted and called, and budgets set, from here only where the config says dashboard.commands: true.";
const HOUR_MS = 3_600_000;

/** Budgets are false alarms a week. */
function budgetWords(budget, own) {
  if (budget === undefined) return "";
  const group = `its group's budget is ${value(budget)} a week`;
  const words = own === undefined ? group : `this stream has a budget of its own, ${value(own)} a week; ${group}`;
  return `How many false alarms are few enough: ${words}.`;
}

export class AlarmCommands {
  #answer = element("p", { class: "answer", role: "status" });
  #muting;
  #unmuting;
  #calling;
  #budget = element("input", { type: "number", id: "budget", min: 0.01, max: 10_000, step: "any", required: true });
  #budgetWords = element("p", { class: "explanation" });
  #setting;
  #unsetting;
  #allowed;

  /** `allowed` says whether the config lets anything be changed; `boxNow` gives the time by the box's clock. */
  constructor(stream, allowed, boxNow) {
    this.#allowed = allowed;
    const button = (label, command, done, more = () => ({})) => {
      const act = () => void tellOutcome(this.#answer, () => sendCommand(command, { stream, ...more() }), done);
      return element("button", { type: "button", class: "quiet", onclick: act }, label);
    };
    const mute = (label, hours) =>
      button(label, "mute", "This stream raises no alarms for a while.", () => ({
        until: Math.floor(boxNow()) + hours * HOUR_MS,
      }));
    this.#muting = [mute("Mute for 2 hours", 2), mute("Mute for a day", 24)];
    this.#unmuting = button("Raise alarms again", "unmute", "This stream raises alarms again.");
    this.#calling = [
      button("It was nothing", "normal", "The alarm is closed, and its readings may be learned from."),
      button("It was a fault", "fault", "The readings of the alarm are never learned from."),
    ];
    this.#setting = button("Set", "budget", "The budget is set.", () => ({ budget: `${this.#budget.value}/week` }));
    this.#unsetting = button("As its group", "budget", "The stream has its group's budget.", () => ({ budget: null }));
    this.root = element(
      "div",
      { class: "commands" },
      element("div", { class: "buttons" }, this.#muting, this.#unmuting, this.#calling),
      this.#budgetWords,
      element(
        "div",
        { class: "filters" },
        element("div", { class: "field" }, element("label", { htmlFor: "budget" }, "False alarms a week"), this.#budget),
        this.#setting,
        this.#unsetting,
      ),
      this.#answer,
      allowed ? undefined : element("p", { class: "explanation" }, OFF),
    );
    this.show(false, false, {});
  }

  /** Whether the stream is muted, whether there is an alarm that something can be said of, and its group's budget and its own. */
  show(isMuted, hasAlarm, { budget, own }) {
    for (const one of [...this.#muting, this.#budget, this.#setting]) one.disabled = !this.#allowed;
    this.#unsetting.disabled = !this.#allowed || own === undefined;
    setText(this.#budgetWords, budgetWords(budget, own));
    this.#budget.placeholder = value(own ?? budget);
    this.#unmuting.disabled = !this.#allowed || !isMuted;
    for (const button of this.#calling) button.disabled = !this.#allowed || !hasAlarm;
  }
}
