// Whether something takes memory: measured on the heap, not by reading its source.
import v8 from "node:v8";

const ROUNDS_MAX = 60;
const SETTLED_BYTES = 1000;

/**
 * What the heap grows by in 100 calls once the compiler has settled: the median of stretches, since a collection in one of them would
 * hide what it grew; the least of such medians, since what always allocates does so in all of them. As long as it looks like that it is
 * measured again: on a busy machine the compiler may take a while.
 */
export function heapGrowth(run: () => void): number {
  for (let call = 0; call < 2000; call++) run();
  let least = Infinity;
  for (let round = 0; round < ROUNDS_MAX && least > SETTLED_BYTES; round++) {
    const growths: number[] = [];
    for (let stretch = 0; stretch < 15; stretch++) {
      const before = v8.getHeapStatistics().used_heap_size;
      for (let call = 0; call < 100; call++) run();
      growths.push(v8.getHeapStatistics().used_heap_size - before);
    }
    least = Math.min(least, growths.toSorted((a, b) => a - b)[7]!);
  }
  return least;
}
