import { Inject, Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import type { DomainEvent } from '../core/contracts/event-bus.js';
import { HANDLED_EVENTS, type HandledEvents } from '../core/contracts/handled-events.js';
import type { MatchedEvent } from '../core/events/event-pattern.js';
import { HandlesEvent } from '../core/events/handles-event.decorator.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { QueueStore, type Half } from './queue-store.js';

const NAME = 'queue.keep';
const QUEUE = /^[A-Za-z0-9_.:-]{1,64}$/;
const MAX_TASK_ID = 200;

/** Follows tasks through queues: how many wait, for how long, and how many go through. */
@Injectable()
export class QueueHandlers {
  private readonly refused: Counter<'reason'>;

  constructor(
    @Inject(HANDLED_EVENTS) private readonly handled: HandledEvents,
    private readonly queues: QueueStore,
    metrics: Metrics,
  ) {
    this.refused = metrics.counter(
      'varve_queue_events_refused_total',
      'Events about queues that were not followed, by what is wrong with them',
      ['reason'],
    );
  }

  @HandlesEvent('queue.task.*', { name: NAME })
  async onTask(event: MatchedEvent<'queue.task.*'>): Promise<void> {
    switch (event.type) {
      case 'queue.task.added':
        return this.note(event, 'added');
      case 'queue.task.processed':
        return this.note(event, 'processed');
      // Others' types may be named alike; they are none of this one's.
    }
  }

  private async note(
    event: DomainEvent<'queue.task.added' | 'queue.task.processed'>,
    half: Half,
  ): Promise<void> {
    const { queue, taskId } = event.data;
    let reason = flawOf(queue, taskId);
    const isNew = await this.handled.once(NAME, event, async (tx) => {
      if (reason !== null) return;
      if (await this.queues.follow(tx, queue)) {
        await this.queues.tell(tx, half, queue, taskId, event.time);
      } else reason = 'too-many-queues';
    });
    if (isNew && reason !== null) this.refused.inc({ reason });
  }
}

function flawOf(
  queue: string,
  taskId: string,
): 'queue-name' | 'task-id' | 'too-many-queues' | null {
  if (!QUEUE.test(queue)) return 'queue-name';
  return taskId.length === 0 || taskId.length > MAX_TASK_ID ? 'task-id' : null;
}
