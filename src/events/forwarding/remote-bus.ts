import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { token } from '../../core/token.js';
import type { Config } from '../../platform/config/config.js';

const PUBLISH_TIMEOUT_MS = 8_000;
const CHECK_TIMEOUT_MS = 2_000;
const MAX_REASON = 500;
/** What the events themselves are the reason of; the same request is never taken. */
const REFUSALS = new Set([400, 409, 413, 422]);

/** The remote bus does not take events now, and may later. */
export class RemoteAway extends Error {
  constructor(address: string, why: string) {
    super(`${address} does not take events: ${why}`);
    this.name = 'RemoteAway';
  }
}

/** The remote bus will not take these events. */
export class RemoteRefused extends Error {
  constructor(status: number, why: string) {
    super(`The event bus answered ${status}: ${why}`);
    this.name = 'RemoteRefused';
  }
}

/** Another event bus, as far as events are published there. */
export class RemoteBus {
  /** Without anything secret, to be shown. */
  readonly address: string;

  /** @param key an API key of an administrator there, with the scope `write` or `admin` */
  constructor(
    url: string,
    private readonly key: string,
  ) {
    this.address = url.replace(/\/+$/, '');
  }

  /** Resolves where it answers. @throws RemoteAway */
  async check(): Promise<void> {
    const answer = await this.ask('/health/live', {
      signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
    });
    if (!answer.ok) throw new RemoteAway(this.address, `it answers ${answer.status}`);
  }

  /**
   * Publishes all of the events, or none; those that it has already stay as they are.
   * @throws RemoteAway, RemoteRefused
   */
  async publish(events: readonly DomainEvent[]): Promise<void> {
    const answer = await this.ask('/api/v1/events/batch', {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.key}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ events }),
      // Elsewhere the key has no business.
      redirect: 'manual',
      signal: AbortSignal.timeout(PUBLISH_TIMEOUT_MS),
    });
    if (answer.status === 201) return;
    if (REFUSALS.has(answer.status)) throw new RemoteRefused(answer.status, answer.detail);
    throw new RemoteAway(this.address, `it answers ${answer.status}: ${answer.detail}`);
  }

  private async ask(
    path: string,
    request: RequestInit,
  ): Promise<{ ok: boolean; status: number; detail: string }> {
    try {
      const answer = await fetch(this.address + path, request);
      // To its end: the connection is used again.
      const text = await answer.text();
      return { ok: answer.ok, status: answer.status, detail: answer.ok ? '' : detailOf(text) };
    } catch (error) {
      const { message, cause } = error as Error;
      throw new RemoteAway(this.address, cause instanceof Error ? cause.message : message);
    }
  }
}

/** The bus that `EVENT_BUS_URL` names; null where it names none. */
export const REMOTE_BUS = token<RemoteBus | null>('REMOTE_BUS');

export function remoteBusOf({
  EVENT_BUS_URL: url,
  EVENT_BUS_KEY: key,
}: Pick<Config, 'EVENT_BUS_URL' | 'EVENT_BUS_KEY'>): RemoteBus | null {
  return /^https?:/.test(url) && key !== undefined ? new RemoteBus(url, key) : null;
}

/** What a problem says; otherwise the answer's beginning. */
function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === 'string') return detail.slice(0, MAX_REASON);
  } catch {
    // Something in between answered, and not with a problem.
  }
  return text.slice(0, MAX_REASON);
}
