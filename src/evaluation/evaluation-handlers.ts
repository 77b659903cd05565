import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import {
  ARTIFACT_PRODUCER,
  type Artifact,
  type ArtifactProducer,
  type StagedArtifact,
} from '../core/contracts/artifact-producer.js';
import { EVENT_BUS, type DomainEvent, type EventBus } from '../core/contracts/event-bus.js';
import { HANDLED_EVENTS, type HandledEvents } from '../core/contracts/handled-events.js';
import type { Tx } from '../core/contracts/unit-of-work.js';
import type { MatchedEvent } from '../core/events/event-pattern.js';
import { HandlesEvent } from '../core/events/handles-event.decorator.js';
import { EvaluationStore } from './evaluation-store.js';

const NAME = 'evaluation.keep';
/** After so many retries a failure is the last. */
const MAX_RETRIES = 3;
const MAX_ID = 200;

/**
 * Follows evaluations: keeps what each has come to, stores results, and has failed ones tried again.
 * One subscription for all of their events, so that those about one evaluation keep their order.
 */
@Injectable()
export class EvaluationHandlers {
  constructor(
    @Inject(HANDLED_EVENTS) private readonly handled: HandledEvents,
    @Inject(EVENT_BUS) private readonly bus: EventBus,
    @Inject(ARTIFACT_PRODUCER)
    private readonly artifacts: Pick<ArtifactProducer, 'stage' | 'register' | 'discard'>,
    private readonly evaluations: EvaluationStore,
  ) {}

  @HandlesEvent('evaluation.*', { name: NAME })
  async onEvaluation(event: MatchedEvent<'evaluation.*'>): Promise<void> {
    switch (event.type) {
      case 'evaluation.started':
        return this.start(event);
      case 'evaluation.completed':
        return this.complete(event);
      case 'evaluation.failed':
        return this.fail(event);
      case 'evaluation.retry':
      // Others' types may be named alike; they are none of this one's.
    }
  }

  private async start(event: DomainEvent<'evaluation.started'>): Promise<void> {
    const evaluationId = idOf(event);
    const retryCount = retriesOf(event);
    await this.handled.once(NAME, event, async (tx) => {
      if (!(await this.evaluations.begin(tx, evaluationId, retryCount))) return;
      await this.bus.publish(tx, 'metrics.evaluation.started', event.subject, {
        evaluationId,
        active: await this.evaluations.active(tx),
      });
    });
  }

  private async complete(event: DomainEvent<'evaluation.completed'>): Promise<void> {
    const evaluationId = idOf(event);
    // Before the transaction: no bytes are written inside of one.
    const staged = await this.artifacts.stage({
      stream: Readable.from([Buffer.from(JSON.stringify(event.data.result))]),
      fileType: 'json',
      mimeType: 'application/json',
    });
    let isRegistered = false;
    try {
      await this.handled.once(NAME, event, async (tx) => {
        if (!(await this.evaluations.complete(tx, evaluationId))) return;
        isRegistered = true;
        const { fileId, sha256 } = await this.store(tx, staged);
        await this.evaluations.keepResult(tx, evaluationId, fileId);
        await this.bus.publish(tx, 'cleanup.evaluation', event.subject, {
          evaluationId,
          outcome: 'completed',
          fileId,
          sha256,
        });
      });
    } finally {
      if (!isRegistered) await this.artifacts.discard([staged]);
    }
  }

  private async store(tx: Tx, staged: StagedArtifact): Promise<Artifact> {
    const [artifact] = await this.artifacts.register(tx, [staged], {
      holder: null,
      isReferredTo: true,
    });
    return artifact!;
  }

  private async fail(event: DomainEvent<'evaluation.failed'>): Promise<void> {
    const evaluationId = idOf(event);
    const retryCount = retriesOf(event);
    const { error, critical } = event.data;
    const { subject } = event;
    await this.handled.once(NAME, event, async (tx) => {
      if (!(await this.evaluations.fail(tx, evaluationId, retryCount))) return;
      if (retryCount < MAX_RETRIES) {
        const retry = { evaluationId, retryCount: retryCount + 1, error };
        await this.bus.publish(tx, 'evaluation.retry', subject, retry);
      } else {
        const over = { evaluationId, outcome: 'failed', fileId: null, sha256: null } as const;
        await this.bus.publish(tx, 'cleanup.evaluation', subject, over);
      }
      if (critical === true) {
        const alert = { about: `evaluation ${evaluationId}`, message: error };
        await this.bus.publish(tx, 'alert.critical', subject, alert);
      }
    });
  }
}

function idOf({ data: { evaluationId } }: { data: { evaluationId: string } }): string {
  if (evaluationId.length > 0 && evaluationId.length <= MAX_ID) return evaluationId;
  throw new RangeError(`evaluationId takes 1 to ${MAX_ID} characters.`);
}

function retriesOf({ data: { retryCount = 0 } }: { data: { retryCount?: number } }): number {
  if (Number.isInteger(retryCount) && retryCount >= 0 && retryCount < 2 ** 31) return retryCount;
  throw new RangeError('retryCount takes a whole number from 0.');
}
