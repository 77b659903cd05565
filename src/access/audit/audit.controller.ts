import { Controller, Get, Header, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Forbidden, InvalidInput, Unauthenticated } from '../../core/problems.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { decodeCursor, pageOf, toPage, type Page } from '../../platform/http/paging.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { AuditChain } from './audit-chain.js';
import { asCsv, asNdjson } from './audit-export.js';
import { AuditLog, type AuditFilter } from './audit-log.js';
import {
  AuditCheckView,
  AuditEntryView,
  AuditExportQuery,
  AuditQuery,
  AuditVerifyQuery,
} from './audit.dto.js';

@ApiTags('audit')
@Controller({ path: 'audit' })
export class AuditController {
  constructor(
    private readonly log: AuditLog,
    private readonly chain: AuditChain,
  ) {}

  @Get()
  @AdminOnly()
  @ApiOperation({
    operationId: 'listAudit',
    summary: 'List what was done and what was refused',
    description: 'The newest first.',
  })
  @ApiOkResponse({ type: pageOf(AuditEntryView) })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async list(@Query() { limit, cursor, ...filter }: AuditQuery): Promise<Page<AuditEntryView>> {
    const before = cursor === undefined ? null : decodeCursor(cursor, isEntryId);
    const rows = await this.log.list(filter, { before, limit: limit + 1 });
    return toPage(rows, limit, (row) => row.id, AuditEntryView.of);
  }

  @Get('export')
  @AdminOnly()
  @ApiOperation({
    operationId: 'exportAudit',
    summary: 'Export what was done and what was refused',
    description: 'All of it that the filters let through, the oldest first, as it is read.',
  })
  @ApiProduces('application/x-ndjson', 'text/csv')
  @ApiOkResponse({ schema: { type: 'string' } })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async export(@Query() query: AuditExportQuery, @Res() res: Response): Promise<void> {
    const isCsv = query.format === 'csv';
    res.setHeader(
      'Content-Type',
      isCsv ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
    );
    res.setHeader('Content-Disposition', `attachment; filename="audit.${query.format}"`);
    res.setHeader('X-Content-Type-Options', 'nosniff');
    const entries = this.entries(query);
    await pipeline(Readable.from(isCsv ? asCsv(entries) : asNdjson(entries)), res);
  }

  @Get('verify')
  @AdminOnly()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'verifyAudit',
    summary: 'Check that nobody has tampered with the audit log',
    description:
      'Computes the hashes anew, from the beginning or from behind an entry whose hash you have kept. Keep `last` outside of the server: whoever could rewrite the whole chain cannot rewrite that.',
  })
  @ApiOkResponse({ type: AuditCheckView })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async verify(@Query() query: AuditVerifyQuery): Promise<AuditCheckView> {
    await this.chain.seal();
    return this.chain.verify(startOf(query), query.limit);
  }

  private async *entries(filter: AuditFilter): AsyncGenerator<AuditEntryView> {
    for await (const row of this.log.all(filter)) yield AuditEntryView.of(row);
  }
}

/** @throws InvalidInput where one is given without the other */
function startOf({ afterSeq, afterHash }: AuditVerifyQuery): { seq: number; hash: string } | null {
  if (afterSeq === undefined && afterHash === undefined) return null;
  if (afterSeq !== undefined && afterHash !== undefined) return { seq: afterSeq, hash: afterHash };
  const [at, other] =
    afterSeq === undefined ? ['afterSeq', 'afterHash'] : ['afterHash', 'afterSeq'];
  throw new InvalidInput(`${at} is missing.`, [{ at, message: `must be given with ${other}` }]);
}

function isEntryId(value: unknown): value is string {
  return typeof value === 'string' && /^[1-9]\d{0,17}$/.test(value);
}
