// Tables that commands print: columns as wide as what stands in them, and times as people and other programs read them.

/** The lines of a table, the headings first. */
export function tableLines(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]!.length)));
  return [headings, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
}

/** To the second, in UTC; empty where there is none. */
export function timeText(ms: number | undefined): string {
  return ms === undefined ? "" : `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
