// Which model steps each group, where it came from, what was before it, and how learning goes: the challenger, and what was decided of it.
import { confirm, refusalWords, tellOutcome } from "./confirm.js";
import { element, foreignName, section, setText, table, versionCode } from "./element.js";
import { ask } from "./live.js";
import { sendCommand } from "./send-command.js";
import { moment, plural, value } from "./words.js";

const OFF = "Models can be changed from here only where the config says dashboard.commands: true.";
const ORIGINS = {
  config: "named by the config",
  learning: "learned by each stream from its own readings",
  promoted: "put in force by command",
  update: "sent over MQTT",
};
/** The figures that a decision rests on, in words. */
const FIGURES = {
  readings: (number) => `on ${plural(number, "reading")}`,
  championLoss: (loss) => `loss of the model ${value(loss)}`,
  challengerLoss: (loss) => `of the challenger ${value(loss)}`,
  loss: (loss) => `its loss ${value(loss)}`,
  previousLoss: (loss) => `of the one before ${value(loss)}`,
  wins: (number) => `better in ${number} of 10 stretches`,
  rows: (number) => `trained on ${plural(number, "reading")}`,
  epochs: (number) => `in ${plural(number, "pass", "passes")}`,
  change: (share) => `weights changed by ${value(100 * share, "%")}`,
};
const STATES = {
  idle: ["waits", "Nothing is under way."],
  shadow: ["challenger", "A challenger is held against the model on readings that it was not trained on."],
  probation: ["on probation", "The model in force is new: where the one before would do better, that one comes back by itself."],
};

const figureWords = (figures) =>
  Object.entries(figures)
    .flatMap(([name, number]) => (Object.hasOwn(FIGURES, name) ? [FIGURES[name](number)] : []))
    .join(", ");

function lossWords(lineage) {
  const losses = Object.entries(lineage?.testRmse ?? {});
  return losses.map(([output, rmse]) => `${output} ${value(rmse)}`).join(", ") || "–";
}

/** The file without its folder, or the update, and how it came to be used. */
function fromWords(lineage) {
  const { file, update } = lineage ?? {};
  const name =
    update === undefined ? file?.slice(file.lastIndexOf("/") + 1) : `update ${update.counter}, signed by ${update.key}`;
  return [name, ORIGINS[lineage?.why]].filter(Boolean).join(", ") || "–";
}

/** Where learning stands. */
function learningWords({ learning, warmUp }) {
  if (learning === undefined) return warmUp ?? "This group does not learn: the config gives it no learn.";
  const { stage, challenger, readingsLeft } = learning;
  const left = readingsLeft === undefined ? "" : ` ${plural(readingsLeft, "reading")} to go.`;
  if (challenger === undefined) return `${STATES[stage][1]}${left}`;
  const { version, rows, epochs, change } = challenger;
  return `${STATES[stage][1]}${left} Version ${version.slice(0, 12)}: ${figureWords({ rows, epochs, change })}.`;
}

class GroupCard {
  root;
  #name;
  #tell;
  #badge = element("span", { class: "badge stage", role: "status" });
  #learning = element("p", { class: "explanation" });
  #versions = table(["Version", "State", "Since", "From", "Error on test rows", "Change"]);
  #decisions = table(["When", "Decision", "Version", "Why", "Figures"]);
  #decided = element("div");
  #answer = element("p", { class: "answer", role: "status" });
  #buttons = element("div", { class: "buttons" });
  #shown = "";

  constructor(name, tell) {
    this.#name = name;
    this.#tell = tell;
    this.#decided.append(element("h3", {}, "What was decided"), this.#decisions.root);
    this.root = section(
      "",
      "",
      this.#learning,
      this.#versions.root,
      element("div", { class: "commands" }, this.#buttons, this.#answer),
      this.#decided,
    );
    this.root.querySelector("h2").append(foreignName(name), " ", this.#badge);
  }

  /** Puts a version in force again, once that is confirmed. */
  #restore(version, allowed) {
    const run = async () => {
      await sendCommand("restore", { group: this.#name, version });
      setText(this.#answer, "That version is in force.");
      this.#tell();
    };
    const text = `Version ${version.slice(0, 12)} steps the group's streams from the next reading on; their states are rebuilt from their last readings where the config says nothing else.`;
    const act = () => confirm("Put this version in force?", this.#name, text, "Put it in force", run);
    return element("button", { type: "button", class: "quiet", disabled: !allowed, onclick: act }, "Put in force…");
  }

  #makeButtons({ learning }, allowed) {
    if (learning === undefined) return [];
    const run = async () => {
      await sendCommand("tune", { group: this.#name });
      this.#tell();
    };
    const tune = () => void tellOutcome(this.#answer, run, "A fine-tune begins in the background.");
    const disabled = !allowed || learning.stage !== "idle";
    return [element("button", { type: "button", class: "quiet", disabled, onclick: tune }, "Fine-tune now")];
  }

  show(group, allowed) {
    const text = JSON.stringify([group, allowed]);
    if (text === this.#shown) return;
    this.#shown = text;
    const { learning, versions } = group;
    setText(this.#badge, learning === undefined ? "" : STATES[learning.stage][0]);
    setText(this.#learning, learningWords(group));
    this.#versions.show(
      versions.map(({ version, inForce, since, lineage }) => [
        versionCode(version),
        inForce ? "in force" : "before",
        inForce && since !== undefined ? moment(since) : "",
        element("bdi", { title: lineage?.file }, fromWords(lineage)),
        element("bdi", {}, lossWords(lineage)),
        inForce ? "" : this.#restore(version, allowed),
      ]),
    );
    this.#buttons.replaceChildren(...this.#makeButtons(group, allowed));
    const decisions = learning?.decisions ?? [];
    this.#decided.hidden = decisions.length === 0;
    this.#decisions.show(
      decisions
        .toReversed()
        .map(({ at, decision, version, why, figures }) => [
          moment(at),
          decision,
          version === undefined ? "" : versionCode(version),
          element("bdi", {}, why),
          figureWords(figures),
        ]),
    );
  }
}

export function openModels(root, { known }) {
  const cards = new Map();
  const place = element("div");
  const off = element("p", { class: "explanation" }, OFF);
  const trouble = element("p", { class: "wrong", role: "status" });
  let closed = false;
  root.append(
    element("h1", {}, "Models"),
    element(
      "p",
      { class: "explanation" },
      `Each group of the config steps its streams with one model; what was before it is kept, and comes back without a restart.`,
    ),
    off,
    trouble,
    place,
  );
  const refresh = async () => {
    try {
      const { groups } = await ask("models");
      if (closed) return;
      setText(trouble, "");
      for (const group of groups) {
        if (!cards.has(group.name)) {
          const card = new GroupCard(group.name, () => void refresh());
          cards.set(group.name, card);
          place.append(card.root);
        }
        cards.get(group.name).show(group, known.setting?.commands === true);
      }
    } catch (thrown) {
      if (!closed) setText(trouble, refusalWords(thrown));
    }
  };
  let shown = "";
  return {
    update({ setting, standing }) {
      off.hidden = setting === undefined || setting.commands;
      if (standing === undefined) return;
      // What changes a model or its learning shows in the groups' lines.
      const text = JSON.stringify([setting?.commands, standing.groups.map(({ version, learning }) => [version, learning])]);
      if (text === shown) return;
      shown = text;
      void refresh();
    },
    close() {
      closed = true;
    },
  };
}
