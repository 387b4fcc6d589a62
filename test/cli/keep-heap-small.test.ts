import { execFileSync } from "node:child_process";
import t from "tap";

const module = new URL("../../src/cli/keep-heap-small.js", import.meta.url).href;

/** MiB that the space for new objects has grown to in a process that makes many, of which some last. */
function newSpaceOf(prologue: string): number {
  const script = `
    import v8 from "node:v8";
    ${prologue}
    const kept = [];
    for (let i = 0; i < 2e6; i++) { const one = { i, of: [i] }; if (i % 40 === 0) kept[(i / 40) % 40000] = one; }
    console.log(v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size);`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })) / 2 ** 20;
}

t.test("the space for new objects stays as small as it begins", async (t) => {
  t.ok(newSpaceOf("") >= 8, "left alone it grows");
  t.ok(newSpaceOf(`import { keepHeapSmall } from "${module}"; keepHeapSmall();`) <= 4);
});
