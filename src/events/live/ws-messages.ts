import { z } from 'zod';
import { parseJson } from '../../platform/http/body.js';
import { InvalidInput } from '../../core/problems.js';
import { CURSOR_PATTERN } from '../log/events.dto.js';

const id = z.string().min(1).max(100);

const message = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('subscribe'),
    id,
    type: z.array(z.string().max(200)).max(20).optional(),
    subject: z.string().max(300).optional(),
    after: z.string().regex(CURSOR_PATTERN).optional(),
  }),
  z.strictObject({ action: z.literal('unsubscribe'), id }),
]);

/** What a reader may say over a WebSocket. */
export type StreamMessage = z.output<typeof message>;

/** @throws InvalidInput */
export function parseMessage(bytes: Buffer): StreamMessage {
  const parsed = message.safeParse(parseJson(bytes));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.path.join('.') || 'message';
  throw new InvalidInput(`${at}: ${issue?.message ?? 'is none that is understood'}`);
}
