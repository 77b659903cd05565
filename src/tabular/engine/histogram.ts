/** A bar of a histogram: values from `from` on, below `to`; the last one holds its end as well. */
export interface HistogramBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/**
 * Draws a histogram with bins of equal width from points of the cumulative distribution, between which
 * it is taken to be straight.
 * @param steps quantiles at equal distances, from the 0th to the last
 */
export function interpolatedHistogram(
  minimum: number,
  maximum: number,
  steps: readonly number[],
  count: number,
  bins: number,
): { approximate: boolean; bins: HistogramBin[] } | null {
  if (count === 0 || !Number.isFinite(minimum) || !Number.isFinite(maximum)) return null;
  if (minimum === maximum) {
    return { approximate: false, bins: [{ from: minimum, to: maximum, count }] };
  }
  const edges = Array.from({ length: bins + 1 }, (_, at) =>
    at === bins ? maximum : minimum * (1 - at / bins) + maximum * (at / bins),
  );
  const points = [minimum, ...steps.slice(1, -1), maximum];
  const below = edges.map((edge) => Math.round(shareBelow(points, edge) * count));
  below[bins] = count;
  return {
    approximate: true,
    bins: edges.slice(0, -1).map((from, at) => ({
      from,
      to: edges[at + 1] as number,
      count: Math.max(0, (below[at + 1] as number) - (below[at] as number)),
    })),
  };
}

function shareBelow(points: readonly number[], edge: number): number {
  const last = points.length - 1;
  for (let at = 0; at < last; at += 1) {
    const [low, high] = [points[at] as number, points[at + 1] as number];
    if (edge > high) continue;
    const within = high > low ? Math.max(0, (edge - low) / (high - low)) : 0;
    return (at + within) / last;
  }
  return 1;
}
