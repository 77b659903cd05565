import { Controller, Get, Inject, Res } from '@nestjs/common';
import {
  ApiOkResponse,
  ApiOperation,
  ApiServiceUnavailableResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { DataSource } from 'typeorm';
import { STORAGE_BACKEND, type StorageBackend } from '../../core/contracts/storage-backend.js';
import { pendingMigrations } from '../database/migrate.js';
import { Public } from '../http/access.decorators.js';
import { Draining } from './draining.js';
import { HealthChecks, type HealthCheck } from './health-checks.js';
import { HealthView, type HealthCheckView } from './health.view.js';

/** Long enough for a busy server, shorter than what probes wait. */
const CHECK_LIMIT_MS = 4_000;

@ApiTags('operations')
@Controller('health')
export class HealthController {
  private readonly needed: HealthCheck[];

  constructor(
    dataSource: DataSource,
    @Inject(STORAGE_BACKEND) backend: StorageBackend,
    draining: Draining,
    private readonly added: HealthChecks,
  ) {
    const needed = (name: string, run: HealthCheck['run']) => ({ name, run, isNeeded: true });
    this.needed = [
      needed('server', async () => {
        if (draining.started) throw new Error('is stopping and takes no new work');
        return 'takes requests';
      }),
      needed('database', async () => {
        await dataSource.query('SELECT 1');
        return 'answers queries';
      }),
      needed('migrations', async () => {
        const pending = await pendingMigrations(dataSource);
        if (pending.length > 0) throw new Error(`not applied: ${pending.join(', ')}`);
        return 'all applied';
      }),
      needed('storage', async () => {
        await backend.checkWritable();
        return 'takes writes';
      }),
    ];
  }

  @Get('live')
  @Public()
  @ApiOperation({ operationId: 'getLiveness', summary: 'Whether the process answers at all' })
  @ApiOkResponse({ type: HealthView })
  live(): HealthView {
    return { status: 'ok', checks: [] };
  }

  @Get('ready')
  @Public()
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Whether the server can do its work now, and if not, why',
  })
  @ApiOkResponse({ type: HealthView })
  @ApiServiceUnavailableResponse({
    type: HealthView,
    description: 'Something it needs is not well',
  })
  async ready(@Res({ passthrough: true }) res: Response): Promise<HealthView> {
    const checks = await Promise.all([...this.needed, ...this.added.all].map(run));
    const found = new Set(checks.map((check) => check.status));
    const status = (['failing', 'degraded'] as const).find((one) => found.has(one)) ?? 'ok';
    if (status === 'failing') res.status(503).setHeader('Retry-After', '5');
    return { status, checks };
  }
}

async function run({ name, run: check, isNeeded }: HealthCheck): Promise<HealthCheckView> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('does not answer')), CHECK_LIMIT_MS);
  });
  try {
    return { name, status: 'ok', reason: await Promise.race([check(), limit]) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    return { name, status: isNeeded ? 'failing' : 'degraded', reason };
  } finally {
    clearTimeout(timer);
  }
}
