// What `npm run size` runs: how much of a disk a production install takes on each kind of box, by package, and whether that is within its bound.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesBelow, layOut } from "./lay-out.mjs";

const MB = 1e6;
const BLOCK_BYTES = 4096;
/** Of a table, the rest goes into one line. */
const LINES_MAX = 12;

const installs = [
  { title: "arm64 with onnxruntime", cpu: "arm64", onnxruntime: true, boundMB: 120 },
  { title: "arm64 without onnxruntime", cpu: "arm64", onnxruntime: false, boundMB: 40 },
  { title: "armv7, which onnxruntime has no build for", cpu: "arm", onnxruntime: false, boundMB: 40 },
];

/** The package that a file is part of. */
function partOf(file) {
  const parts = file.split("/");
  if (parts[0] !== "node_modules") return "hiddenstate";
  return parts[1].startsWith("@") ? `${parts[1]}/${parts[2]}` : parts[1];
}

let failed = false;
for (const { title, cpu, onnxruntime, boundMB } of installs) {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-size-"));
  try {
    layOut(join(folder, "app"), cpu, { onnxruntime });
    const sizes = new Map();
    for (const file of filesBelow(join(folder, "app"))) {
      const bytes = Math.ceil(statSync(join(folder, "app", file)).size / BLOCK_BYTES) * BLOCK_BYTES;
      sizes.set(partOf(file), (sizes.get(partOf(file)) ?? 0) + bytes);
    }
    const rows = [...sizes].toSorted(([, a], [, b]) => b - a);
    const total = rows.reduce((sum, [, bytes]) => sum + bytes, 0);
    const rest = rows.slice(LINES_MAX);
    const shown = [...rows.slice(0, LINES_MAX), [`${rest.length} more`, rest.reduce((sum, [, bytes]) => sum + bytes, 0)]];
    const isWithin = total <= boundMB * MB;
    failed ||= !isWithin;
    console.log(`\n${title}: ${(total / MB).toFixed(1)} MB, ${isWithin ? "within" : "MORE THAN"} ${boundMB} MB`);
    for (const [name, bytes] of shown) console.log(`  ${(bytes / MB).toFixed(2).padStart(6)}  ${name}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
process.exit(failed ? 1 : 0);
