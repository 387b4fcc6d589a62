// What has happened: what was refused and why, what went wrong and was recovered from, and the last lines of the log.
import { element, foreignName, section, table } from "./element.js";
import { count, moment } from "./words.js";

/** What somebody who looks after a box wants to know of, in words; everything else is in /metrics. */
const COUNTED = [
  ["readings_missed", "readings that never arrived, by the gaps in their numbers"],
  ["time_backwards", "readings whose time was before that of the one before"],
  ["readings_held", "readings that came before their turn and waited for it"],
  ["intake_disconnects", "cuts of the connection that readings come by"],
  ["sink_disconnects", "cuts of the connection that predictions go by"],
  ["session_lost", "times the broker had forgotten us; what was sent meanwhile may be missing"],
  ["intake_holds", "times the broker was held back because too much was waiting"],
  ["replayed_events", "events taken again from the journal at the last start"],
  ["replay_mismatch", "replayed readings that came out otherwise than before"],
  ["journal_damaged", "journals found damaged at the start"],
  ["checkpoints_damaged", "checkpoints found damaged at the start"],
  ["checkpoints_failed", "checkpoints that found no room on the disk"],
  ["disk_reserve_given_up", "times the room kept for a full disk was needed"],
  ["streams_expired", "streams forgotten after a long silence"],
  ["dead_letters_suppressed", "refusals not told to the broker because there were too many"],
];

const KINDS = { info: "note", warn: "warning", error: "error", alarm: "alarm" };

function detailsOf({ stream, ...details }) {
  const rest = Object.entries(details).map(([name, text]) => `${name}: ${text}`);
  return [
    stream === undefined
      ? undefined
      : element("a", { href: `#/stream/${encodeURIComponent(stream)}` }, foreignName(stream, { class: "name" })),
    stream !== undefined && rest.length > 0 ? " · " : undefined,
    rest.length === 0 ? undefined : element("bdi", {}, rest.join(" · ")),
  ];
}

export function openEvents(root) {
  const refused = table(["What", "Reason", "Count", "Meaning"], { numeric: [2] });
  const counted = table(["Count", "Since the start"], { numeric: [0] });
  const lines = table(["When", "Kind", "What happened", "Details"]);
  const noRefusals = element("p", { class: "empty" }, "Nothing was refused since the start.");
  const noCounts = element("p", { class: "empty" }, "Nothing out of the ordinary since the start.");
  root.append(
    element("h1", {}, "Events"),
    section(
      "Refused",
      "What came in and was not taken, since the start. Nothing is dropped in silence: the broker's dead-letter topic has the payloads.",
      noRefusals,
      refused.root,
    ),
    section("Out of the ordinary", "", noCounts, counted.root),
    section("Log", "The last lines, newest first.", lines.root),
  );
  lines.root.classList.add("log");
  return {
    update({ standing, lines: known }, change) {
      if (change === "lines" || change === "all") {
        lines.show(
          known
            .toReversed()
            .map(({ at, kind, text, details }) => [
              moment(at),
              element("span", { class: "kind", "data-kind": kind }, KINDS[kind]),
              text,
              element("span", { class: "details" }, detailsOf(details)),
            ]),
        );
      }
      if (standing === undefined || change === "lines") return;
      refused.show(
        standing.refused.map(({ what, reason, count: number, text }) => [what, element("code", {}, reason), count(number), text]),
      );
      const found = COUNTED.filter(([name]) => (standing.counts[name] ?? 0) > 0);
      counted.show(found.map(([name, text]) => [count(standing.counts[name]), text]));
      noRefusals.hidden = standing.refused.length > 0;
      refused.root.hidden = standing.refused.length === 0;
      noCounts.hidden = found.length > 0;
      counted.root.hidden = found.length === 0;
    },
    close() {},
  };
}
