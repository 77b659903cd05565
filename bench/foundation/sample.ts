import type { Client } from '../harness/client.js';
import type { Varve } from '../harness/varve.js';

/** What an upload answers; more is in it, and the benchmark needs no more. */
interface UploadAnswer {
  readonly id: number;
}

/** Uploads a file outside the measured part and gives its id. */
export async function uploadSample(
  varve: Varve,
  client: Client,
  file: string,
  bytes: number,
): Promise<number> {
  const head = varve.head('POST', '/files?name=sample.bin', {
    'Content-Type': 'application/octet-stream',
  });
  const { answers } = await client.sendFile(varve.port, head, file, bytes);
  return uploadedId(answers[0] ?? '');
}

/** The id in an upload's answer. */
export function uploadedId(answer: string): number {
  const { id } = JSON.parse(answer) as UploadAnswer;
  if (!Number.isInteger(id)) throw new Error(`an upload answered ${answer}`);
  return id;
}
