// Columns that grow: the old contents at the front of the new array.

/** Copies `from` to the front of `into` and returns `into`. */
export function grown<A extends { set(from: A): void }>(from: A, into: A): A {
  into.set(from);
  return into;
}
