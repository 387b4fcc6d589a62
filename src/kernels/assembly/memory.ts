// The module's memory, handed out from front to back, and taken back only all at once: one instance holds one network, or one run after
// another.

/** Bytes that may be read, and not written, beyond the end of what is handed out: the rest of a quad. */
export const SLACK: usize = 16;
const PAGE_BYTES: u64 = 0x10000;
/** Addresses have 32 bits. */
const MEMORY_PAGES_MAX: u64 = 0x10000;

const BOTTOM: usize = (__heap_base + 63) & ~63;
let top: usize = BOTTOM;

/** Zeros at an address that divides by 64. A trap where there is no memory left. */
export function allocate(bytes: usize): usize {
  const at = top, end = <u64>at + <u64>bytes + SLACK;
  if (!growTo(end)) unreachable();
  top = (<usize>end + 63) & ~63;
  return at;
}

/** Takes everything back. What is handed out anew is zeros again. */
export function reset(): void {
  memory.fill(BOTTOM, 0, top - BOTTOM);
  top = BOTTOM;
}

/** Where the next `allocate` would begin. */
export function memoryTop(): usize {
  return top;
}

/** Makes sure that there is memory up to an address; false where there is none left. */
export function growTo(end: u64): bool {
  const pages = (end + PAGE_BYTES - 1) / PAGE_BYTES, present = <u64>memory.size();
  if (pages <= present) return true;
  // The last page stays out, so that no address of an end wraps to 0.
  return pages < MEMORY_PAGES_MAX && memory.grow(<i32>(pages - present)) >= 0;
}
