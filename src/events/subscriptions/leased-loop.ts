import { Alarm } from '../alarm.js';
import { POLL_MS } from '../bus-connections.js';
import type { Lease, SubscriptionStore } from './subscription-store.js';

/** What is known while a lease lasts, and forgotten with it. */
export interface Leased {
  readonly lease: Lease;
  /** Whether there may be deliveries that are due or hold others back. */
  pending: boolean;
}

/** Moves a position in the log on, step by step, for as long as this process has the lease on it. */
export abstract class LeasedLoop<Held extends Leased = Leased> {
  protected held: Held | null = null;
  protected readonly stopping = new AbortController();
  private readonly alarm = new Alarm();
  private leaseEndsAt = 0;
  private loop: Promise<void> | null = null;

  constructor(
    readonly name: string,
    protected readonly store: SubscriptionStore,
  ) {}

  /** That of the lease; null while there is none. */
  get generation(): string | null {
    return this.held?.lease.generation ?? null;
  }

  /** There may be something new. */
  ring(): void {
    this.alarm.ring();
  }

  /** @param endsAt when the lease ends at the earliest, by this process's clock */
  take(lease: Lease, endsAt: number): void {
    this.lose();
    this.held = this.begin(lease);
    this.leaseEndsAt = endsAt;
    this.loop ??= this.run();
    this.ring();
  }

  /** The lease was prolonged. @param pending whether there are deliveries to be tried again */
  keep(endsAt: number, pending: boolean): void {
    this.leaseEndsAt = endsAt;
    if (this.held && pending) this.held.pending = true;
  }

  /** The lease is another's. */
  lose(): void {
    this.held = null;
  }

  /** Lets what runs end, and gives the lease back. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.ring();
    await this.loop;
    if (this.held) await this.giveBack(this.held);
  }

  /** What a lease begins with. */
  protected abstract begin(lease: Lease): Held;

  /** Does what there is to do, and says whether there is more. */
  protected abstract step(held: Held): Promise<boolean>;

  /** A step has failed; the next comes when something is new, and each second. */
  protected abstract fail(error: unknown, held: Held): Promise<void> | void;

  protected async giveBack({ lease }: Held): Promise<void> {
    await this.store.release(lease).catch(() => undefined);
  }

  /** Whether nothing more may be begun. */
  protected get isOver(): boolean {
    return this.stopping.signal.aborted || performance.now() >= this.leaseEndsAt;
  }

  /** What the database does not take from `held` is another's to write. */
  protected loseIfHeld(held: Held): void {
    if (this.held === held) this.lose();
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const { held } = this;
      let more = false;
      try {
        if (held && !this.isOver) more = await this.step(held);
      } catch (error) {
        if (held) await this.fail(error, held);
      }
      if (!more && !this.stopping.signal.aborted) await this.alarm.sleep(POLL_MS);
    }
  }
}
