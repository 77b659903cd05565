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
import { HealthView, type HealthCheckView } from './health.view.js';

/** Long enough for a busy server, shorter than what probes wait. */
const CHECK_LIMIT_MS = 4_000;

@ApiTags('operations')
@Controller('health')
export class HealthController {
  private readonly checks: Record<string, () => Promise<string>>;

  constructor(
    dataSource: DataSource,
    @Inject(STORAGE_BACKEND) backend: StorageBackend,
    draining: Draining,
  ) {
    this.checks = {
      server: async () => {
        if (draining.started) throw new Error('is stopping and takes no new work');
        return 'takes requests';
      },
      database: async () => {
        await dataSource.query('SELECT 1');
        return 'answers queries';
      },
      migrations: async () => {
        const pending = await pendingMigrations(dataSource);
        if (pending.length > 0) throw new Error(`not applied: ${pending.join(', ')}`);
        return 'all applied';
      },
      storage: async () => {
        await backend.checkWritable();
        return 'takes writes';
      },
    };
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
    const checks = await Promise.all(
      Object.entries(this.checks).map(([name, check]) => run(name, check)),
    );
    const status = checks.every((check) => check.status === 'ok') ? 'ok' : 'failing';
    if (status === 'failing') res.status(503).setHeader('Retry-After', '5');
    return { status, checks };
  }
}

async function run(name: string, check: () => Promise<string>): Promise<HealthCheckView> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('does not answer')), CHECK_LIMIT_MS);
  });
  try {
    return { name, status: 'ok', reason: await Promise.race([check(), limit]) };
  } catch (error) {
    return { name, status: 'failing', reason: error instanceof Error ? error.message : 'unknown' };
  } finally {
    clearTimeout(timer);
  }
}
