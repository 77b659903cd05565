import { Injectable } from '@nestjs/common';

/** Whether the server has begun to stop: readiness tells, so that no new work is sent here. */
@Injectable()
export class Draining {
  private readonly beginning = new AbortController();

  get started(): boolean {
    return this.beginning.signal.aborted;
  }

  /** Aborted once the server begins to stop: what would go on for ever ends itself. */
  get signal(): AbortSignal {
    return this.beginning.signal;
  }

  begin(): void {
    this.beginning.abort();
  }
}
