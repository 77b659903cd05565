const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The pauses between attempts; together a day. */
const PAUSES_MS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 8 * HOUR, 8.4 * HOUR];

/**
 * How long after an attempt the next one is due; null where it was the last. A tenth of it at
 * random, and no sooner than the receiver asked, within a day.
 * @param attempts so far
 */
export function nextAttemptMs(
  attempts: number,
  retryAfterMs: number | null,
  random = Math.random(),
): number | null {
  const pause = PAUSES_MS[attempts - 1];
  if (pause === undefined) return null;
  const asked = Math.min(retryAfterMs ?? 0, 24 * HOUR);
  return Math.max(asked, Math.round(pause * (0.95 + random / 10)));
}
