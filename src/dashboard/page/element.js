// Elements of the page. Texts go in as text only, so that no stream's name can be anything else.

/** An element with properties, listeners (`onclick`), attributes (`aria-label`, `data-x`, `role`) and children; absent ones are left out. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name in made && !name.includes("-") && name !== "role") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
}

/** A name from outside, kept from changing the direction or the place of what stands around it. */
export function foreignName(text, properties = {}) {
  return element("bdi", { ...properties, title: text }, text);
}

/** A version's first digits; all of them are its title. */
export function versionCode(version) {
  return element("code", { title: version }, version.slice(0, 12));
}

/** Puts a text in where it differs, so that a screen reader is not told what it knows. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** A figure with its label and a line that explains it; `show` changes it. */
export function tile(label) {
  const value = element("dd", { class: "value" }, "–");
  const note = element("dd", { class: "note" });
  const root = element("div", { class: "tile" }, element("dt", {}, label), value, note);
  return {
    root,
    show(text, explanation = "", state = "") {
      setText(value, text);
      setText(note, explanation);
      root.dataset.state = state;
    },
  };
}

/** A section with a heading, an explanation and what belongs to it. */
export function section(title, explanation, ...children) {
  return element(
    "section",
    {},
    element("h2", {}, title),
    explanation === "" ? undefined : element("p", { class: "explanation" }, explanation),
    ...children,
  );
}

/** A table whose rows are lists of texts or elements. */
export function table(headings, { numeric = [] } = {}) {
  const body = element("tbody");
  const head = headings.map((heading, i) => element("th", { scope: "col", class: numeric.includes(i) ? "number" : "" }, heading));
  const root = element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": headings.join(", ") });
  root.append(element("table", {}, element("thead", {}, element("tr", {}, head)), body));
  return {
    root,
    show(rows) {
      body.replaceChildren(
        ...rows.map((cells) =>
          element(
            "tr",
            {},
            cells.map((cell, i) =>
              element("td", { class: numeric.includes(i) ? "number" : "", "data-label": headings[i] }, cell),
            ),
          ),
        ),
      );
    },
  };
}
