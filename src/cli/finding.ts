// What `hiddenstate doctor` has found: one fact, whether it is good, and what to do where it is not.

export interface Finding {
  readonly about: string;
  /** `note`: it works, and should be known. `bad`: something will be lost, stand still or be open to others. */
  readonly verdict: "good" | "note" | "bad";
  readonly text: string;
  readonly advice?: string;
  /** What was measured, by name and unit. */
  readonly figures?: Readonly<Record<string, number>>;
}

export function good(about: string, text: string, figures?: Finding["figures"]): Finding {
  return { about, verdict: "good", text, ...(figures && { figures }) };
}

export function note(about: string, text: string, advice: string, figures?: Finding["figures"]): Finding {
  return { about, verdict: "note", text, advice, ...(figures && { figures }) };
}

export function bad(about: string, text: string, advice: string, figures?: Finding["figures"]): Finding {
  return { about, verdict: "bad", text, advice, ...(figures && { figures }) };
}
