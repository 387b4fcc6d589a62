// What can be said of a stream's alarms: that it may be silent for a while, that the last alarm was nothing, or that it was a fault. Each can be
// said otherwise later, so nothing is asked first.
import { tellOutcome } from "./confirm.js";
import { element } from "./element.js";
import { sendCommand } from "./send-command.js";

const OFF = "Alarms can be muted and called from here only where the config says dashboard.commands: true.";
const HOUR_MS = 3_600_000;

export class AlarmCommands {
  #answer = element("p", { class: "answer", role: "status" });
  #muting;
  #unmuting;
  #calling;
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
    this.root = element(
      "div",
      { class: "commands" },
      element("div", { class: "buttons" }, this.#muting, this.#unmuting, this.#calling),
      this.#answer,
      allowed ? undefined : element("p", { class: "explanation" }, OFF),
    );
    this.show(false, false);
  }

  /** Whether the stream is muted, and whether there is an alarm that something can be said of. */
  show(isMuted, hasAlarm) {
    for (const button of this.#muting) button.disabled = !this.#allowed;
    this.#unmuting.disabled = !this.#allowed || !isMuted;
    for (const button of this.#calling) button.disabled = !this.#allowed || !hasAlarm;
  }
}
