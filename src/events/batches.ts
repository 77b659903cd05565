/** Things in their order, as many at a time as have few enough bytes together, and one at the least. */
export function batchesOf<Item>(
  items: readonly Item[],
  bytesOf: (item: Item) => number,
  maxBytes: number,
): Item[][] {
  const batches: Item[][] = [];
  let sizeBytes = Infinity;
  for (const item of items) {
    const bytes = bytesOf(item);
    if (sizeBytes + bytes > maxBytes) {
      batches.push([]);
      sizeBytes = 0;
    }
    batches.at(-1)?.push(item);
    sizeBytes += bytes;
  }
  return batches;
}
