// The broker's two connections in a few words, for `hiddenstate status` and for systemd's.
import type { Status } from "../runtime/status.ts";

export function brokerLine({ intake, sink }: Status["broker"]): string {
  return `${intake ? "readings come in" : "no readings come in"}, ${sink ? "predictions go out" : "no predictions go out"}`;
}
