// Whether something takes memory: measured on the heap, not by reading its source.
import v8 from "node:v8";

/**
 * What the heap grows by in 100 calls once the compiler has settled: the median of stretches, since a collection in one of them would
 * hide what it grew; the least of some such medians, since what always allocates does so in all of them.
 */
export function heapGrowth(run: () => void): number {
  for (let call = 0; call < 2000; call++) run();
  let least = Infinity;
  for (let round = 0; round < 5; round++) {
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
