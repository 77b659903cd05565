import type { ObjectReader } from '../../core/contracts/storage-backend.js';
import type { ByteRange } from './byte-range.js';
import type { ResponseBody } from '../../platform/http/response-body.js';

/** An object ends before the bytes that its row promises. */
export class ObjectTooShort extends Error {
  constructor(readonly position: number) {
    super(`The object ends at or before byte ${position}`);
    this.name = 'ObjectTooShort';
  }
}

/**
 * Sends a range of an object, reading ahead into one buffer while the socket drains the other.
 * Head is sent once the first read has shown that there is something to send.
 *
 * @param buffers see `BufferLease`; one is enough where it holds the whole range
 * @throws ObjectTooShort, ClientGone
 */
export async function sendBytes(
  reader: ObjectReader,
  range: ByteRange,
  body: ResponseBody,
  buffers: readonly Buffer[],
  sendHead: () => void,
): Promise<void> {
  const sent: Promise<void>[] = [];
  let position = range.start;
  for (let turn = 0; position < range.end; turn = (turn + 1) % buffers.length) {
    await sent[turn];
    const buffer = buffers[turn]!;
    const chunk = buffer.subarray(0, Math.min(buffer.length, range.end - position));
    if ((await reader.read(chunk, position)) < chunk.length) {
      throw new ObjectTooShort(position + chunk.length);
    }
    if (position === range.start) sendHead();
    position += chunk.length;
    sent[turn] = position < range.end ? body.write(chunk) : body.end(chunk);
  }
  await Promise.all(sent);
}
