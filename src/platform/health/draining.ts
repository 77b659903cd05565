import { Injectable } from '@nestjs/common';

/** Whether the server has begun to stop: readiness tells, so that no new work is sent here. */
@Injectable()
export class Draining {
  started = false;
}
