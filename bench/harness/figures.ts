export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** Words a measured time, in seconds, for the table. */
export type Figure = (seconds: number) => string;

export function mebibytesPerSecond(bytes: number): Figure {
  return (seconds) => `${whole(bytes / MIB / seconds)} MiB/s`;
}

export function perSecond(count: number): Figure {
  return (seconds) => `${whole(count / seconds)}/s`;
}

export const inSeconds: Figure = (seconds) => `${seconds.toFixed(2)} s`;

export const inMilliseconds: Figure = (seconds) => `${(seconds * 1000).toFixed(2)} ms`;

export function mebibytes(bytes: number): string {
  return `${whole(bytes / MIB)} MiB`;
}

/** Down to the hundredth, so that a ratio that is worded as its target has reached it. */
export function ratioText(ratio: number): string {
  return (Math.floor(ratio * 100) / 100).toFixed(2);
}

/** Up to the hundredth, so that a ratio of times that is worded as its limit has kept it. */
export function timesText(ratio: number): string {
  return (Math.ceil(ratio * 100) / 100).toFixed(2);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 ? middle : middle - 1];
  if (upper === undefined || lower === undefined) throw new Error('a median of nothing');
  return (lower + upper) / 2;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
