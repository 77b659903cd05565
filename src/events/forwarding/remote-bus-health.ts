import { Inject, Injectable } from '@nestjs/common';
import { HealthChecks } from '../../platform/health/health-checks.js';
import { REMOTE_BUS, type RemoteBus } from './remote-bus.js';

/** Tells in readiness whether the remote event bus answers, where there is one. */
@Injectable()
export class RemoteBusHealth {
  constructor(@Inject(REMOTE_BUS) remote: RemoteBus | null, checks: HealthChecks) {
    if (!remote) return;
    checks.add({
      name: 'event bus',
      isNeeded: false,
      run: async () => {
        await remote.check();
        return `${remote.address} answers`;
      },
    });
  }
}
