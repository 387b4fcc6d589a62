// One stream, live: what it measures against what was predicted, how unusual it is, and what the network remembers of it.
import { AlarmCommands } from "./alarm-commands.js";
import { alarmWords } from "./alarm-words.js";
import { element, foreignName, section, setText, tile } from "./element.js";
import { StreamCharts } from "./stream-charts.js";
import { streamCommands } from "./stream-commands.js";
import { gapsOf, meanError } from "./stream-points.js";
import { ago, count, duration, plural, value } from "./words.js";

const POINTS_MAX = 600;
const SILENT_INTERVALS = 5;

/** State tensors by what they are called in the books, and how large their values are. */
function stateWords(state) {
  return state.map(({ name, count: size, most }) => `${name}: ${plural(size, "number")}, the greatest ${value(most)}`).join("; ");
}

/** How far a network of the stream's own, or of its group's, has come: a figure, and what it means. */
function warmUpWords({ readings, readingsNeeded, warm }, group) {
  if (warm)
    return ["predicts", `${group === undefined ? "a network of its own" : "the group's network"}, which goes on learning`];
  if (group !== undefined && group.readings < group.readingsNeeded)
    return ["learning", `${count(group.readings)} of ${count(group.readingsNeeded)} readings of the group until it may predict`];
  if (readings < readingsNeeded)
    return ["learning", `${count(readings)} of ${count(readingsNeeded)} readings until it may predict`];
  return ["learning", "its forecasts have yet to do better than the last value"];
}

class StreamView {
  #stream;
  #boxNow;
  #root;
  #about;
  #points = [];
  #leftOut = 0;
  #now;
  #charts;
  #index = 0;
  #place = element("div", { class: "charts" });
  #waiting = element("p", { class: "empty" }, "Waiting for the next reading.");
  #badge = element("span", { class: "badge", role: "status" });
  #subtitle = element("p", { class: "explanation" });
  #note = element("p", { class: "explanation" });
  #alarm = element("p", { class: "alarm-words", role: "status" });
  #alarmCommands;
  #alarmSection = element("div", { hidden: true });
  #commands = element("div");
  #tiles = {
    last: tile("Last reading"),
    steps: tile("Readings"),
    value: tile("Now"),
    error: tile("Usual error"),
    gaps: tile("Gaps"),
    state: tile("State"),
  };
  #allowed;
  #isGone = false;

  constructor(root, { known, boxNow }, stream) {
    this.#root = root;
    this.#stream = stream;
    this.#boxNow = boxNow;
    root.append(
      element("p", {}, element("a", { href: "#/streams" }, "← All streams")),
      element("h1", { class: "stream-name" }, foreignName(stream), " ", this.#badge),
      this.#subtitle,
      element(
        "dl",
        { class: "tiles" },
        Object.values(this.#tiles).map((one) => one.root),
      ),
      this.#alarm,
      this.#place,
      this.#note,
      this.#alarmSection,
      section(
        "The state of this stream",
        "The state is what the network has made of everything this stream has sent so far.",
        this.#commands,
      ),
    );
    this.#place.append(this.#waiting);
    this.#showCommands(known.setting);
    this.timer = setInterval(() => this.#showAge(), 1000);
  }

  take(event, told) {
    if (this.#isGone) return;
    if (event === "about") this.#begin(told);
    else if (event === "points") this.#add(told.points, told.leftOut);
    else if (event === "now") this.#showNow(told);
    else if (event === "gone")
      this.#gone("There is no stream of this name. It may have been renamed, or forgotten after a long silence.");
    else this.#gone("Too many streams are open at the same time. Close another one and load this page again.");
  }

  #showCommands(setting) {
    if (setting === undefined || this.#allowed === setting.commands) return;
    this.#allowed = setting.commands;
    this.#commands.replaceChildren(streamCommands(this.#stream, setting.commands));
    this.#alarmCommands = new AlarmCommands(this.#stream, setting.commands, this.#boxNow);
    this.#alarmSection.replaceChildren(
      section(
        "The alarms of this stream",
        "What is said of the last one decides whether the network may learn from its readings. The budget decides how unlikely a reading has to be for one.",
        this.#alarmCommands.root,
      ),
    );
  }

  update({ setting }) {
    this.#showCommands(setting);
  }

  #gone(text) {
    this.#isGone = true;
    clearInterval(this.timer);
    this.#root.replaceChildren(
      element("p", {}, element("a", { href: "#/streams" }, "← All streams")),
      element("h1", { class: "stream-name" }, foreignName(this.#stream)),
      element("p", { class: "empty" }, text),
    );
  }

  /** `alarms` is absent where there was none and nothing is muted. */
  #showAlarms({ alarm, alarms = {}, budget }) {
    const units = new Map(this.#about.features.map(({ name, unit }) => [name, unit]));
    const isMuted = (alarms.muted ?? 0) > this.#boxNow();
    setText(this.#badge, alarm ? "alarm" : isMuted ? "muted" : "");
    this.#badge.dataset.kind = alarm ? "alarm" : "muted";
    setText(this.#alarm, alarmWords(alarms, units, this.#boxNow()));
    this.#alarm.dataset.open = String(alarm);
    this.#alarmCommands?.show(isMuted, alarms.since !== undefined, { budget, own: alarms.budget });
  }

  /** Also after a cut: the readings kept by the runtime come again. */
  #begin(about) {
    this.#about = about;
    this.#alarmSection.hidden = !about.scored;
    this.#points = [];
    this.#leftOut = 0;
    const { group, model, engine, kernel, moreFeatures, moreOutputs } = about;
    const more =
      moreFeatures + moreOutputs === 0 ? "" : ` ${count(moreFeatures + moreOutputs)} of its values are not shown here.`;
    setText(this.#subtitle, `Group ${group}, model ${model}, stepped by the ${engine} engine (${kernel}).${more}`);
    this.#charts?.close();
    this.#charts = undefined;
  }

  #makeCharts() {
    const { outputs, task } = this.#about;
    this.#charts?.close();
    this.#charts = new StreamCharts(this.#about, this.#index);
    const parts = [];
    if (task === "forecast" && outputs.length > 1) {
      const choice = element(
        "select",
        { id: "output", onchange: () => ((this.#index = Number(choice.value)), this.#makeCharts(), this.#draw()) },
        outputs.map(({ name }, i) => element("option", { value: String(i), selected: i === this.#index }, name)),
      );
      parts.push(element("div", { class: "field" }, element("label", { htmlFor: "output" }, "Show"), choice));
    }
    const hasBand = outputs[this.#index]?.deviation >= 0;
    const band = hasBand ? " Nine of ten readings should lie in the shaded band." : "";
    const title = task === "forecast" ? "Measured and predicted" : "What it is taken for";
    parts.push(
      section(title, task === "forecast" ? `A prediction is drawn at the time it is for.${band}` : "", this.#charts.main),
    );
    if (this.#charts.score !== undefined) {
      const text = "How unusual each reading is for this stream, from 0 to 1. Only one in a thousand has 0.3 or more.";
      parts.push(section("Score", text, this.#charts.score));
    }
    this.#place.replaceChildren(...parts);
  }

  #add(points, leftOut) {
    if (this.#about === undefined || points.length === 0) return;
    const newest = this.#points.at(-1)?.sequence ?? -1;
    // A device that restarts may count from the beginning.
    const fresh = points[0].sequence > newest ? points : points.filter(({ time }) => time > (this.#points.at(-1)?.time ?? 0));
    this.#points = [...this.#points, ...fresh].slice(-POINTS_MAX);
    this.#leftOut += leftOut;
    if (this.#charts === undefined) this.#makeCharts();
    this.#draw();
  }

  #draw() {
    const columns = this.#charts.show(this.#points);
    const { gaps, missed } = gapsOf(this.#points);
    this.#tiles.gaps.show(
      count(gaps),
      missed === 0 ? "none in what is shown" : `${plural(missed, "reading")} missing in what is shown`,
      missed === 0 ? "" : "warn",
    );
    const last = this.#points.at(-1);
    const { outputs, features } = this.#about;
    const output = outputs[this.#index];
    if (columns !== undefined && output !== undefined) {
      const error = meanError(columns);
      this.#tiles.value.show(
        value(last.values[output.feature], output.unit),
        `predicted next: ${value(last.outputs[this.#index], output.unit)}`,
      );
      this.#tiles.error.show(
        error === undefined ? "–" : value(Number(error.toPrecision(3)), output.unit),
        "between prediction and reading, on average",
      );
    } else {
      const best = outputs.reduce((a, b, i) => ((last.outputs[i] ?? 0) > (last.outputs[a] ?? 0) ? i : a), 0);
      this.#tiles.value.show(outputs[best]?.name ?? "–", `${Math.round(100 * (last.outputs[best] ?? 0))} % likely`);
      this.#tiles.error.show(value(last.values[0], features[0]?.unit), features[0]?.name ?? "");
    }
    setText(
      this.#note,
      this.#leftOut === 0
        ? ""
        : `${plural(this.#leftOut, "reading")} came faster than can be drawn and are left out here; all of them were stepped.`,
    );
  }

  #showNow(now) {
    this.#now = now;
    const { steps, boot, sequence, held, state, warmUp, groupWarmUp } = now;
    this.#showAlarms(now);
    const number = boot === 0 ? "the device sends no sequence numbers" : `boot ${count(boot)}, sequence ${count(sequence)}`;
    this.#tiles.steps.show(count(steps), held > 0 ? `${number}; ${plural(held, "reading")} waiting for others` : number);
    if (warmUp === undefined) {
      const norms = state.map(({ norm }) => value(Number(norm.toPrecision(3)))).join(" / ");
      this.#tiles.state.show(norms, `its length, as a vector; ${stateWords(state)}`);
    } else this.#tiles.state.show(...warmUpWords(warmUp, groupWarmUp));
    this.#showAge();
  }

  #showAge() {
    if (this.#now === undefined) return;
    const { receivedAt, intervalMs } = this.#now;
    const now = this.#boxNow();
    const usual = intervalMs > 0 ? `usually one every ${duration(intervalMs / 1000)}` : "";
    const isSilent = intervalMs > 0 && now - receivedAt > SILENT_INTERVALS * intervalMs && now - receivedAt > 5000;
    this.#tiles.last.show(ago(receivedAt, now), isSilent ? `silent; ${usual}` : usual, isSilent ? "warn" : "");
    if (this.#points.length === 0) {
      const hint = usual === "" ? "" : ` This stream sends one every ${duration(intervalMs / 1000)}.`;
      setText(this.#waiting, `Waiting for the next reading.${hint} The chart begins when this page is opened.`);
    }
  }

  close() {
    clearInterval(this.timer);
    this.#charts?.close();
  }
}

/** What `take` is told by the connection. */
export const streamEvents = ["about", "points", "now", "gone", "full"];

export function openStream(root, context, stream) {
  return new StreamView(root, context, stream);
}
