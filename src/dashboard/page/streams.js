// The list of streams: searched and sorted by the runtime, of which only the rows in sight are asked for and made.
import { element, foreignName, setText } from "./element.js";
import { ask } from "./live.js";
import { ago, count, plural } from "./words.js";

const ROW_PIXELS = 48;
/** Browsers cannot scroll through more pixels than this by far. */
const ROWS_MAX = 200_000;
const WINDOW_ROWS = 100;
const REFRESH_MS = 2000;
const TYPING_MS = 200;

const chosen = { search: "", order: "name", alarms: false };

function rowOf({ stream, group, steps, receivedAt, alarm, muted }, index, now) {
  return element(
    "a",
    {
      class: "row",
      href: `#/stream/${encodeURIComponent(stream)}`,
      role: "listitem",
      "data-index": String(index),
      "data-alarm": alarm,
    },
    foreignName(stream, { class: "name" }),
    element("span", { class: "group" }, group),
    element("span", { class: "steps number" }, count(steps)),
    element("span", { class: "age number" }, ago(receivedAt, now)),
    element("span", { class: "badge", "data-kind": alarm ? "alarm" : "muted" }, alarm ? "alarm" : muted ? "muted" : ""),
  );
}

function headings() {
  return element(
    "div",
    { class: "row head", "aria-hidden": "true" },
    element("span", { class: "name" }, "Stream"),
    element("span", { class: "group" }, "Group"),
    element("span", { class: "steps number" }, "Readings"),
    element("span", { class: "age number" }, "Last reading"),
    element("span", { class: "badge" }),
  );
}

function emptyText({ streams }) {
  if (streams > 0) return chosen.alarms && chosen.search === "" ? "No alarm is open." : "No stream matches.";
  return "There are no streams yet. One appears with the first reading that a device publishes on a topic of the config.";
}

class List {
  #rows = element("div", { class: "rows", role: "list", "aria-label": "Streams" });
  #summary = element("p", { class: "explanation", role: "status" });
  #empty = element("p", { class: "empty" });
  #from = 0;
  #found = 0;
  #timer;
  #asked = 0;
  #closed = false;

  constructor() {
    this.space = element("div", { class: "space" }, this.#rows);
    this.viewport = element(
      "div",
      { class: "list card", onscroll: () => this.#scrolled(), onkeydown: (event) => this.#key(event) },
      headings(),
      this.space,
      this.#empty,
    );
    this.summary = this.#summary;
  }

  #scrolled() {
    const first = Math.floor(this.viewport.scrollTop / ROW_PIXELS);
    const rows = Math.ceil(this.viewport.clientHeight / ROW_PIXELS);
    const shown = this.#rows.childElementCount;
    if (first < this.#from || first + rows > this.#from + shown) void this.load();
  }

  /** Up and down go from row to row. */
  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest(".row");
    if (step === undefined || row === null) return;
    event.preventDefault();
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    next?.focus();
  }

  async load() {
    clearTimeout(this.#timer);
    const turn = ++this.#asked;
    const first = Math.floor(this.viewport.scrollTop / ROW_PIXELS);
    const from = Math.max(0, first - WINDOW_ROWS / 4);
    const query = new URLSearchParams({ search: chosen.search, order: chosen.order, from, count: WINDOW_ROWS });
    if (chosen.alarms) query.set("alarms", "");
    try {
      const answer = await ask(`streams?${query}`);
      if (turn === this.#asked && !this.#closed) this.#show(answer);
    } catch {
      // The head of the page says that the connection is lost; what was there stays.
    }
    if (turn === this.#asked && !this.#closed) this.#timer = setTimeout(() => void this.load(), REFRESH_MS);
  }

  #show(answer) {
    const { rows, from, found, streams, alarms, at } = answer;
    const focused = this.#rows.contains(document.activeElement) ? document.activeElement.dataset.index : undefined;
    this.#from = from;
    this.#found = Math.min(found, ROWS_MAX);
    this.space.style.height = `${this.#found * ROW_PIXELS}px`;
    this.#rows.style.top = `${from * ROW_PIXELS}px`;
    this.#rows.replaceChildren(...rows.map((row, i) => rowOf(row, from + i, at)));
    if (focused !== undefined) this.#rows.querySelector(`[data-index="${focused}"]`)?.focus({ preventScroll: true });
    const isAll = found === streams;
    const more = found > ROWS_MAX ? ` The first ${count(ROWS_MAX)} are shown; search for the others.` : "";
    setText(
      this.#summary,
      `${isAll ? plural(streams, "stream") : `${count(found)} of ${plural(streams, "stream")}`}, ${alarms === 0 ? "no open alarms" : plural(alarms, "open alarm")}.${more}`,
    );
    setText(this.#empty, found === 0 ? emptyText(answer) : "");
    this.#empty.hidden = found > 0;
    this.space.hidden = found === 0;
  }

  again() {
    this.viewport.scrollTop = 0;
    return this.load();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}

function field(label, input) {
  return element("div", { class: "field" }, element("label", { htmlFor: input.id }, label), input);
}

export function openStreams(root) {
  const list = new List();
  let typing;
  const search = element("input", {
    type: "search",
    id: "search",
    value: chosen.search,
    placeholder: "part of a stream's or a group's name",
    oninput: () => {
      chosen.search = search.value;
      clearTimeout(typing);
      typing = setTimeout(() => void list.again(), TYPING_MS);
    },
  });
  const orders = { name: "by name", silent: "silent for longest first", readings: "most readings first" };
  const order = element(
    "select",
    { id: "order", onchange: () => ((chosen.order = order.value), list.again()) },
    Object.entries(orders).map(([value, text]) => element("option", { value, selected: value === chosen.order }, text)),
  );
  const alarms = element("input", {
    type: "checkbox",
    id: "alarms",
    checked: chosen.alarms,
    onchange: () => ((chosen.alarms = alarms.checked), list.again()),
  });
  root.append(
    element("h1", {}, "Streams"),
    element(
      "div",
      { class: "filters" },
      field("Search", search),
      field("Order", order),
      element("div", { class: "field check" }, alarms, element("label", { htmlFor: "alarms" }, "open alarms only")),
    ),
    list.summary,
    list.viewport,
  );
  void list.load();
  return { close: () => list.close() };
}
