import { Injectable } from '@nestjs/common';

/** One thing whose state readiness tells. */
export interface HealthCheck {
  readonly name: string;
  /** Resolves to why it is well. @throws what is wrong with it */
  readonly run: () => Promise<string>;
  /** Whether nothing can be done without it; otherwise the server is ready all the same. */
  readonly isNeeded: boolean;
}

/** What slices have to say about the server's health. */
@Injectable()
export class HealthChecks {
  readonly all: HealthCheck[] = [];

  add(check: HealthCheck): void {
    this.all.push(check);
  }
}
