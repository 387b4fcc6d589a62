// The page as a whole: one connection, four views and a stream's own, chosen by the part of the address behind #.
import { element, setText } from "./element.js";
import { openEvents } from "./events.js";
import { listen } from "./live.js";
import { openModels } from "./models.js";
import { openOverview } from "./overview.js";
import { showSignIn } from "./sign-in.js";
import { openStream, streamEvents } from "./stream.js";
import { openStreams } from "./streams.js";
import { moment } from "./words.js";

const LINES_MAX = 200;
const SAMPLES_MAX = 450;

/** What is known of the runtime; views are told of every change. */
const known = { setting: undefined, standing: undefined, samples: [], lines: [], receivedAt: 0 };
const view = document.getElementById("view");
const link = document.getElementById("link");
let opened;
let signingIn = false;
let connected;
let disconnect;

/** The box's wall clock now, by its own word and how long ago that was. */
function boxNow() {
  return known.standing === undefined ? Date.now() : known.standing.at + (performance.now() - known.receivedAt);
}

function showTroubles(troubles) {
  const root = document.getElementById("troubles");
  const text = JSON.stringify(troubles);
  if (root.dataset.shown === text) return;
  root.dataset.shown = text;
  root.replaceChildren(
    ...troubles.map(({ severity, title, detail }) =>
      element("div", { class: "trouble", "data-severity": severity }, element("strong", {}, title), element("p", {}, detail)),
    ),
  );
}

function showLink(state, sentence) {
  link.dataset.state = state;
  setText(link, state === "live" ? "live" : state === "token" ? "token needed" : "no connection");
  if (state === "lost") {
    const since = known.standing === undefined ? "" : ` What you see is from ${moment(known.standing.at)}.`;
    showTroubles([
      { severity: "stop", title: "hiddenstate does not answer", detail: `${sentence}${since} It is tried again by itself.` },
    ]);
  }
  if (state === "token") {
    signingIn = true;
    showTroubles([]);
    opened?.close();
    opened = undefined;
    showSignIn(view, () => location.reload());
  }
}

function tell(change) {
  opened?.update?.(known, change);
}

function go() {
  if (signingIn) return;
  const [, name = "", rest = ""] = /^#\/([a-z]*)\/?(.*)$/.exec(location.hash) ?? [];
  opened?.close();
  const context = { known, boxNow };
  const views = { streams: openStreams, models: openModels, events: openEvents, stream: openStream };
  const current = Object.hasOwn(views, name) ? name : "overview";
  view.replaceChildren();
  view.dataset.view = current;
  const stream = current === "stream" ? safeDecode(rest) : undefined;
  opened = current === "overview" ? openOverview(view, context) : views[current](view, context, stream);
  connect(stream);
  for (const anchor of document.querySelectorAll("nav a")) {
    const isHere = anchor.dataset.view === current || (current === "stream" && anchor.dataset.view === "streams");
    if (isHere) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  tell("all");
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const handlers = {
  setting(setting) {
    known.setting = setting;
    tell("setting");
  },
  history(samples) {
    known.samples = samples;
    tell("samples");
  },
  lines(lines) {
    const newest = known.lines.at(-1)?.id ?? 0;
    // After a restart of the runtime the count begins anew.
    const isNew = lines.length > 0 && lines[0].id <= newest && lines.at(-1).id < newest;
    known.lines = (isNew ? lines : [...known.lines, ...lines.filter(({ id }) => id > newest)]).slice(-LINES_MAX);
    tell("lines");
  },
  standing(standing) {
    known.standing = standing;
    known.receivedAt = performance.now();
    if (standing.sample !== undefined && standing.sample.at !== known.samples.at(-1)?.at)
      known.samples = [...known.samples, standing.sample].slice(-SAMPLES_MAX);
    setText(document.getElementById("node"), standing.node);
    document.title = standing.troubles.length > 0 ? `(!) ${standing.node} · hiddenstate` : `${standing.node} · hiddenstate`;
    showTroubles(standing.troubles);
    tell("standing");
  },
};
for (const event of streamEvents) handlers[event] = (value) => opened?.take?.(event, value);

/** One connection, which also tells of the stream that is open. */
function connect(stream) {
  const path = stream === undefined ? "live" : `live?stream=${encodeURIComponent(stream)}`;
  if (path === connected) return;
  connected = path;
  disconnect?.();
  disconnect = listen(path, handlers, showLink);
}

addEventListener("hashchange", () => {
  // A jump to the content is none to another view.
  if (location.hash !== "#view") go();
});
go();
