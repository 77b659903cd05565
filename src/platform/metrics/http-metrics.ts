import { Injectable } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { Metrics } from './metrics.js';

/** Times every request from its first byte to the end of its answer. */
@Injectable()
export class HttpMetrics {
  private readonly duration;

  constructor(metrics: Metrics) {
    this.duration = metrics.histogram(
      'varve_http_request_duration_seconds',
      'How long requests took, by route and status',
      ['method', 'route', 'status'],
      [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
    );
  }

  readonly middleware = (req: Request, res: Response, next: NextFunction): void => {
    const stop = this.duration.startTimer();
    res.once('close', () => {
      const route: unknown = (req.route as { path?: unknown } | undefined)?.path;
      stop({
        method: req.method,
        // Only routes that exist become labels: a scanner must not make a series for each guess.
        route: typeof route === 'string' ? route : 'none',
        status: String(res.statusCode),
      });
    });
    next();
  };
}
