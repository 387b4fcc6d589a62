// What can be wrong with a config, as a value: where, and what to do about it.

export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Point at this key of the object at `path`, not at its value. */
  readonly key?: string;
}
