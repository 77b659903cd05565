import { Logger } from '@nestjs/common';
import { matchesEventPattern } from '../../core/events/event-pattern.js';
import { POLL_MS } from '../bus-connections.js';
import type { HandlerCalls } from '../handler-calls.js';
import type { LogPosition } from '../log/log-position.js';
import { PAGE, type EntrySource, type LogEntry } from '../log/entry-source.js';
import { backoffMs, type DurableSubscription } from './durable-subscription.js';
import { LeasedLoop, type Leased } from './leased-loop.js';
import { runInOrder, type Outcome, type Task } from './ordered-run.js';
import type {
  Lease,
  Passed,
  PendingDelivery,
  Retried,
  SubscriptionStore,
} from './subscription-store.js';

/** After this long a run begins nothing more, and what it has done is written down. */
const RUN_MS = 1_000;
const MAX_DUE = 50;
/** What has ended the process this often while it was handled is not begun again. */
const MAX_DEATHS = 3;

/** What one run is made of: deliveries that are due, then the log, by position. */
type Work = { readonly due: PendingDelivery } | { readonly entry: LogEntry };

interface Held extends Leased {
  readonly source: EntrySource;
  /** How far it has come; ahead of what is written down where nothing there was to be handled. */
  cursor: LogPosition;
  written: LogPosition;
  writtenAt: number;
  /**
   * The holder before died with its work: so many events are handled one by one, each written down,
   * so that the one which ends the process is known by its position.
   */
  careful: number;
  deaths: number;
}

/** Handles the events of one durable subscription, for as long as this process has the lease. */
export class SubscriptionRunner extends LeasedLoop<Held> {
  private readonly logger = new Logger(SubscriptionRunner.name);

  /** @param sourceFor opens what the lease's events are taken from, which rings when there are some */
  constructor(
    private readonly subscription: DurableSubscription,
    store: SubscriptionStore,
    private readonly sourceFor: (ring: () => void) => EntrySource,
    private readonly calls: HandlerCalls,
  ) {
    super(subscription.name, store);
  }

  override lose(): void {
    void this.held?.source.close();
    super.lose();
  }

  protected begin(lease: Lease): Held {
    const deaths = lease.attempts - 1;
    return {
      lease,
      source: this.sourceFor(() => this.ring()),
      cursor: lease.position,
      written: lease.position,
      writtenAt: performance.now(),
      pending: true,
      careful: deaths > 0 ? PAGE : 0,
      deaths,
    };
  }

  protected override async giveBack(held: Held): Promise<void> {
    await this.writeDown(held).catch(() => undefined);
    await held.source.close();
    await super.giveBack(held);
  }

  protected fail(error: unknown, held: Held): void {
    this.logger.warn({ err: error, subscription: this.name }, 'A subscription has to wait');
    // What was written and what was not is unknown: begin again from what the database has.
    this.loseIfHeld(held);
  }

  protected async step(held: Held): Promise<boolean> {
    if (held.careful > 0) return this.stepCarefully(held);
    const due = held.pending ? await this.store.claimDue(held.lease, MAX_DUE) : [];
    const { entries, end, isFull } = await held.source.after(held.cursor);
    const wanted = entries.filter(({ event }) => this.wants(event.type));
    if (due.length > 0 || wanted.length > 0) {
      return (await this.handle(held, due, wanted, end)) || isFull;
    }
    held.cursor = end;
    if (held.pending) held.pending = await this.hasPending();
    // Nothing there was its to handle: once a second is soon enough to say so.
    if (performance.now() - held.writtenAt >= POLL_MS) await this.writeDown(held);
    return isFull;
  }

  /** Handles the next event alone, where the holder before died with its work. */
  private async stepCarefully(held: Held): Promise<boolean> {
    // That nothing is there clears everything of suspicion: it must be true of this moment.
    const { entries, end, isFull } = await held.source.readAfter(held.cursor);
    const next = entries.find(({ event }) => this.wants(event.type));
    if (next) {
      held.careful--;
      if (held.deaths >= MAX_DEATHS) return this.giveUp(held, next);
      await this.handle(held, [], [next], next.position);
      return true;
    }
    held.cursor = end;
    if (isFull) return true;
    held.careful = 0;
    if (held.deaths > 0) await this.writeDown(held, true);
    return true;
  }

  private async handle(
    held: Held,
    due: readonly PendingDelivery[],
    entries: readonly LogEntry[],
    end: LogPosition,
  ): Promise<boolean> {
    const blocked = await this.blockedIn(held, entries);
    const parked = entries.filter(({ event }) => blocked.has(event.subject));
    const tasks: Task<Work>[] = [
      ...due.map((one) => ({ item: { due: one }, subject: one.event.subject })),
      ...entries
        .filter(({ event }) => !blocked.has(event.subject))
        .map((entry) => ({ item: { entry }, subject: entry.event.subject })),
    ];
    const over = performance.now() + RUN_MS;
    const outcomes = await runInOrder(tasks, (work) => this.call(work), {
      concurrency: this.subscription.concurrency,
      isOver: () => this.isOver || performance.now() > over,
    });
    const notBegun = tasks[outcomes.length]?.item;
    // What was begun is a beginning of the list: the position stops before the first that was not.
    const stop = notBegun && ('entry' in notBegun ? notBegun.entry : entries[0]);
    const reached = stop ? this.before(entries, stop, held.cursor) : end;
    const covered = stop ? entries.slice(0, entries.indexOf(stop)) : entries;
    const passed = this.passedOf(
      tasks.slice(due.length),
      outcomes.slice(due.length),
      parked.filter((entry) => covered.includes(entry)),
    );
    if (!(await this.store.advance(held.lease, reached, passed))) {
      this.loseIfHeld(held);
      return false;
    }
    held.cursor = held.written = reached;
    held.deaths = 0;
    held.pending ||= passed.length > 0;
    const retried = due.flatMap((one, index) => this.retriedOf(one, outcomes[index]));
    if (retried.length > 0) await this.store.settle(held.lease, retried);
    this.calls.count(
      this.name,
      'handled',
      outcomes.filter((outcome) => outcome.status === 'handled').length,
    );
    return stop !== undefined || due.length > 0;
  }

  private async hasPending(): Promise<boolean> {
    return (await this.store.withPending([this.name])).size > 0;
  }

  private async blockedIn(held: Held, entries: readonly LogEntry[]): Promise<Set<string>> {
    if (!held.pending || entries.length === 0) return new Set();
    const subjects = new Set(entries.map(({ event }) => event.subject));
    return this.store.blockedSubjects(this.name, [...subjects]);
  }

  private call(work: Work): Promise<void> | void {
    const { handler } = this.subscription;
    return 'due' in work ? this.callDue(work.due) : this.calls.call(handler, work.entry.event, 1);
  }

  private async callDue({ event, attempts }: PendingDelivery): Promise<void> {
    // The attempt before was the last one, and nobody lived to say how it ended.
    if (attempts > this.subscription.attempts) throw new ProcessDied(attempts - 1);
    await this.calls.call(this.subscription.handler, event, attempts);
  }

  /** What the position passes although it was not handled. */
  private passedOf(
    tasks: readonly Task<Work>[],
    outcomes: readonly Outcome[],
    blocked: readonly LogEntry[],
  ): Passed[] {
    const dead = new Set<string>();
    const waiting = (entry: LogEntry): Passed => ({
      entry,
      attempts: 0,
      error: null,
      // Behind one that is given up at once there is nobody to wait for.
      next: dead.delete(entry.event.subject) ? 0 : 'after-earlier',
    });
    const passed = outcomes.flatMap((outcome, index): Passed[] => {
      const work = tasks[index]?.item;
      if (!work || !('entry' in work) || outcome.status === 'handled') return [];
      if (outcome.status === 'parked') return [waiting(work.entry)];
      const { next, error } = this.failureOf(work.entry.event, 1, outcome.error);
      if (next === 'dead') dead.add(work.entry.event.subject);
      return [{ entry: work.entry, attempts: 1, error, next }];
    });
    return [...passed, ...blocked.map(waiting)];
  }

  private retriedOf({ id, event, attempts }: PendingDelivery, outcome?: Outcome): Retried[] {
    if (!outcome || outcome.status === 'parked') return [{ id, outcome: 'not begun' }];
    if (outcome.status === 'handled') return [{ id, outcome: 'handled' }];
    return [{ id, outcome: this.failureOf(event, attempts, outcome.error) }];
  }

  private failureOf(
    event: LogEntry['event'],
    attempts: number,
    cause: unknown,
  ): { error: string; next: number | 'dead' } {
    const isLast = attempts >= this.subscription.attempts;
    if (isLast) {
      this.calls.count(this.name, 'failed');
      this.logger.error(
        { err: cause, subscription: this.name, eventId: event.id, type: event.type },
        'An event could not be handled, and is a dead letter now',
      );
    }
    return {
      error: describe(cause),
      next: isLast ? 'dead' : backoffMs(this.subscription.backoffMs, attempts),
    };
  }

  private async giveUp(held: Held, entry: LogEntry): Promise<boolean> {
    const { error } = this.failureOf(entry.event, Infinity, new ProcessDied(held.deaths));
    const attempts = held.deaths;
    const passed: Passed[] = [{ entry, attempts, error, next: 'dead' }];
    if (!(await this.store.advance(held.lease, entry.position, passed))) {
      this.loseIfHeld(held);
      return false;
    }
    held.cursor = held.written = entry.position;
    held.deaths = 0;
    return true;
  }

  /** Where the position stands while `stop` is the next to be handled. */
  private before(entries: readonly LogEntry[], stop: LogEntry, start: LogPosition): LogPosition {
    return entries[entries.indexOf(stop) - 1]?.position ?? start;
  }

  private async writeDown(held: Held, force = false): Promise<void> {
    if (!force && held.cursor === held.written) return;
    if (await this.store.advance(held.lease, held.cursor, [])) {
      held.written = held.cursor;
      held.writtenAt = performance.now();
      if (force) held.deaths = 0;
    } else this.loseIfHeld(held);
  }

  private wants(type: string): boolean {
    return matchesEventPattern(this.subscription.pattern, type);
  }
}

/** The handler has ended the process, as far as anybody can tell. */
class ProcessDied extends Error {
  constructor(times: number) {
    super(`The process ended ${times} times while this event was being handled.`);
    this.name = 'ProcessDied';
  }
}

const MAX_ERROR = 2_000;

/** NUL is the one character that PostgreSQL cannot keep. */
function describe(cause: unknown): string {
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return text.replaceAll('\0', '').toWellFormed().slice(0, MAX_ERROR).toWellFormed();
}
