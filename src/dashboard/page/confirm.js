// The question before something changes, and what came of it in words.
import { element, foreignName, setText } from "./element.js";
import { Refused } from "./live.js";

/** In words, what came of a request that was not answered as hoped. */
export function refusalWords(thrown) {
  return thrown instanceof Refused ? thrown.message : "The runtime does not answer.";
}

/** Runs what a person asked for, and puts into `answer` what came of it: `done`, or why not. */
export async function tellOutcome(answer, run, done) {
  try {
    await run();
    setText(answer, done);
  } catch (thrown) {
    setText(answer, refusalWords(thrown));
  }
}

/** Asks before `run`, and closes once that has come to a good end. */
export function confirm(title, name, text, button, run) {
  const answer = element("p", { class: "wrong", role: "alert" });
  const act = async () => {
    try {
      await run();
      dialog.close();
    } catch (thrown) {
      setText(answer, refusalWords(thrown));
    }
  };
  const dialog = element(
    "dialog",
    { class: "card", "aria-label": title, onclose: () => dialog.remove() },
    element("h2", {}, title),
    element("p", {}, foreignName(name, { class: "name" })),
    element("p", {}, text),
    answer,
    element(
      "div",
      { class: "buttons" },
      element("button", { type: "button", class: "quiet", autofocus: true, onclick: () => dialog.close() }, "Cancel"),
      element("button", { type: "button", class: "danger", onclick: () => void act() }, button),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
