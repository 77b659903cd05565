import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { signatureHeaders } from './webhook-signature.js';
import type { WebhookAddresses } from './webhook-address.js';

const LIMIT_MS = 15_000;
/** More of an answer is not read. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface Message {
  readonly url: string;
  readonly event: DomainEvent;
  readonly secrets: readonly Buffer[];
}

/** How an attempt went. */
export interface Answer {
  readonly status: number;
  /** How long the receiver asks to be left alone, where it does. */
  readonly retryAfterMs: number | null;
}

/** Posts an event. Redirects are answers like any other. @throws where there is no answer */
export async function post(
  { url, event, secrets }: Message,
  addresses: WebhookAddresses,
): Promise<Answer> {
  const target = addresses.parse(url);
  addresses.checkLiteral(target);
  const body = JSON.stringify({ ...event, timestamp: event.time });
  const timestamp = Math.floor(Date.now() / 1000);
  const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
  const limit = AbortSignal.timeout(LIMIT_MS);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const req = request(target, {
    method: 'POST',
    agent: false,
    lookup: addresses.lookup,
    signal: limit,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      'User-Agent': 'Varve',
      ...signatureHeaders(event.id, timestamp, body, secrets),
    },
  });
  req.on('error', reject);
  req.on('response', resolve);
  req.end(body);
  try {
    const answer = await promise;
    await drain(answer);
    return { status: answer.statusCode ?? 0, retryAfterMs: retryAfter(answer) };
  } catch (error) {
    throw limit.aborted ? new Error(`No answer within ${LIMIT_MS / 1000} seconds`) : error;
  } finally {
    req.destroy();
  }
}

/** Reads the answer to its end or the limit: what it says counts for nothing, that it came does. */
async function drain(answer: IncomingMessage): Promise<void> {
  let read = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    read += chunk.length;
    if (read > MAX_ANSWER_BYTES) return;
  }
}

function retryAfter({ headers }: IncomingMessage): number | null {
  const seconds = headers['retry-after'];
  return seconds !== undefined && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : null;
}
