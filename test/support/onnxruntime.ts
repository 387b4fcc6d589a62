// Whether onnxruntime-node can be loaded here. It is an optional dependency: where it is absent, what needs it is skipped, and says so.
async function loads(): Promise<boolean> {
  try {
    await import("onnxruntime-node");
    return true;
  } catch {
    return false;
  }
}

// There is none for 32-bit ARM.
const isThere = process.arch !== "arm" && (process.env["CI"] === "true" || (await loads()));

/** Options for a tap test that needs onnxruntime-node. In CI it is never skipped where there is one: the test then fails for want of it. */
export const needsOnnxruntime = { skip: isThere ? false : "onnxruntime-node does not load" } as const;
