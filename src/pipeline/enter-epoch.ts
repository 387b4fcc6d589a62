// A change of settings in its turn: what cannot come into force is refused, and everything goes on as it was.
import type { Fold } from "./fold.ts";
import type { Ledger } from "./ledger.ts";
import { encodeEpochSettings } from "./settings.ts";
import type { EpochSettings } from "./settings.ts";

/** Steps what is staged, and works by other settings from then on. Returns why it does not. Throws where it fails in the middle of it. */
export async function enterEpoch(
  fold: Fold,
  ledger: Ledger,
  change: (present: EpochSettings) => EpochSettings,
): Promise<{ readonly thrown: unknown } | undefined> {
  await ledger.flush();
  let settings: EpochSettings;
  let enter: () => Promise<void>;
  try {
    settings = change(fold.settings);
    enter = await fold.prepareEpoch(settings);
  } catch (thrown) {
    return { thrown };
  }
  await enter();
  ledger.push({ kind: "epoch", settings: encodeEpochSettings(settings) });
  return undefined;
}
