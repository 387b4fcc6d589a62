// Holds a model file to the parity measure in a child process: what `hiddenstate verify` says, before a model is put in force.
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { runScript } from "./child-script.ts";
import type { ParityReport } from "./compare-engines.ts";

/** Throws `bad_model` where the engines are apart on a model file, and `unavailable` where they cannot be compared. */
export type VerifyModel = (file: string) => Promise<void>;

export const verifyModel: VerifyModel = async (file) => {
  let report: ParityReport | null;
  try {
    report = (await runScript("verify-process", [file], limits.verifyMsMax)) as ParityReport | null;
  } catch (thrown) {
    throw new HiddenstateError("unavailable", `cannot compare the engines on ${file}: ${reasonOf(thrown)}`, thrown);
  }
  if (report === null || report.passed) return;
  const failed = report.parts
    .filter(({ verdict }) => verdict === "failed")
    .map(({ name, inputs }) => `${name} (${inputs} inputs)`);
  throw new HiddenstateError(
    "bad_model",
    `cannot use ${file}: the native engine and onnxruntime are further apart on it than ${report.tolerance}: ${failed.join("; ")}; ` +
      "see it with: hiddenstate verify",
  );
};
