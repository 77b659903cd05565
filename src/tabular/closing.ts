import type { Response } from 'express';
import { Problem } from '../core/problems.js';

/** Nobody waits for the answer any more; what is said of it is only for the log. */
export class ReceiverLeft extends Problem {
  static override readonly kind = { code: 'receiver-left', status: 499, title: 'Receiver left' };

  constructor() {
    super('The connection was closed before the answer was ready.');
  }
}

/** Aborted when whoever waits for an answer goes away before it has all of it. */
export function closing(res: Response): AbortSignal {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort(new ReceiverLeft());
  });
  return controller.signal;
}
