// Asks for the token where the config wants one.
import { element, setText } from "./element.js";
import { ask, Refused } from "./live.js";

/** Fills `root` with the form; `entered` is called once the token was right. */
export function showSignIn(root, entered) {
  const field = element("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const answer = element("p", { class: "wrong", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await ask("session", { token: field.value.trim() });
      entered();
    } catch (thrown) {
      setText(answer, thrown instanceof Refused ? `It was refused: ${thrown.message}.` : "The runtime does not answer.");
      field.select();
    }
  };
  root.replaceChildren(
    element(
      "form",
      { class: "card sign-in", onsubmit: (event) => void submit(event) },
      element("h1", {}, "Who are you?"),
      element(
        "p",
        {},
        "This dashboard asks for a token: the text that dashboard.tokenFile or dashboard.tokenEnv of its config names.",
      ),
      element("label", { htmlFor: "token" }, "Token"),
      field,
      answer,
      element("button", { type: "submit" }, "Open"),
    ),
  );
  field.focus();
}
