// What a test does less of on an emulated processor (`npm run test:arm64`), which is some twenty times slower: fewer of many like cases, and
// nothing that measures the heap or time. What it checks stays the same.
export const isEmulated = process.env["HIDDENSTATE_EMULATED"] === "1";

const LESS = 10;

/** How many of `count` cases to run. */
export function rounds(count: number): number {
  return isEmulated ? Math.ceil(count / LESS) : count;
}

/** Options for a tap test that runs something thousands of times, to see what of the heap it takes: V8's doing, whatever the processor. */
export const measuresHeap = { skip: isEmulated ? "V8 takes the memory, whatever the processor" : false } as const;
