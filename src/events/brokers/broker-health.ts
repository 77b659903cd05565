import { Inject, Injectable } from '@nestjs/common';
import { EVENT_BROKER, type EventBroker } from '../../core/contracts/event-broker.js';
import { HealthChecks } from '../../platform/health/health-checks.js';

/** Tells in readiness whether the broker answers, where there is one. */
@Injectable()
export class BrokerHealth {
  constructor(@Inject(EVENT_BROKER) broker: EventBroker | null, checks: HealthChecks) {
    if (!broker) return;
    checks.add({
      name: 'broker',
      isNeeded: false,
      run: () =>
        broker.check().then(
          () => `${broker.address} answers`,
          () => {
            throw new Error(`${broker.address} is away; events wait for it in the log`);
          },
        ),
    });
  }
}
