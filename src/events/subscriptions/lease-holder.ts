import type { Lease } from './subscription-store.js';

/** Somebody in this process who works for as long as it has the lease on a row. */
export interface LeaseHolder {
  readonly name: string;
  /** That of the lease; null while there is none. */
  readonly generation: string | null;

  /** There may be something new. */
  ring(): void;

  /** @param endsAt when the lease ends at the earliest, by this process's clock */
  take(lease: Lease, endsAt: number): void;

  /** The lease was prolonged. @param pending whether there are deliveries to be tried again */
  keep(endsAt: number, pending: boolean): void;

  /** The lease is another's. */
  lose(): void;

  /** Lets what runs end, and gives the lease back. */
  stop(): Promise<void>;
}
