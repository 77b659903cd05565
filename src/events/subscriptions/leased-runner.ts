import type { Lease } from './subscription-store.js';

/** Goes through the log from a position, for as long as this process has the lease on it. */
export interface LeasedRunner {
  readonly name: string;
  /** Of the lease that it has; null without one. */
  readonly generation: string | null;
  /** There may be something new. */
  ring(): void;
  /** @param endsAt when the lease ends at the earliest, by this process's clock */
  take(lease: Lease, endsAt: number): void;
  /** @param pending whether there are deliveries that are due or hold others back */
  keep(endsAt: number, pending: boolean): void;
  lose(): void;
  /** Lets what runs end, within a limit, and gives the lease back. */
  stop(): Promise<void>;
}
