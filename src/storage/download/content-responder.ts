import { Injectable, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Counter } from 'prom-client';
import {
  FileDamaged,
  type ContentOptions,
  type ContentResponder,
} from '../../core/contracts/file-catalog.js';
import { ObjectMissing } from '../../core/contracts/storage-backend.js';
import type { FileId, UserId } from '../../core/ids.js';
import type {} from '../../platform/http/principal.decorator.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { parseByteRange, type ByteRange } from './byte-range.js';
import { cacheHeaders, contentHeaders, entityTag } from './content-headers.js';
import { ContentLookup, type Content } from './content-lookup.js';
import { DownloadBuffers } from './download-buffers.js';
import { OpenObjects, type ObjectLease } from './open-objects.js';
import { judge, rangeApplies } from './preconditions.js';
import { PreconditionFailed, RangeNotSatisfiable } from './problems.js';
import { ClientGone, ResponseBody } from '../../platform/http/response-body.js';
import { ObjectTooShort, sendBytes } from './send-bytes.js';

/** Serves contents from the backend, at the socket's speed and in bounded memory. */
@Injectable()
export class StoredContentResponder implements ContentResponder {
  private readonly logger = new Logger(StoredContentResponder.name);
  private readonly downloaded: Counter;
  /** How long a receiver may take nothing before its connection is closed. */
  private readonly stallLimitMs = 120_000;

  constructor(
    private readonly lookup: ContentLookup,
    private readonly objects: OpenObjects,
    private readonly buffers: DownloadBuffers,
    metrics: Metrics,
  ) {
    this.downloaded = metrics.counter(
      'varve_download_bytes_total',
      'Bytes of content sent to clients',
    );
  }

  /** @throws NotFound, FileDamaged, PreconditionFailed, RangeNotSatisfiable */
  async respond(req: Request, res: Response, file: FileId, options: ContentOptions): Promise<void> {
    const reader = req.principal?.userId ?? null;
    const content = await this.lookup.find(file, reader);
    const etag = entityTag(content.sha256);
    const verdict = judge(req.headers, etag);
    if (verdict === 'failed') throw new PreconditionFailed(etag);
    const headers = cacheHeaders(content.sha256, options.immutable);
    if (verdict === 'not-modified') {
      res.writeHead(304, headers).end();
      return;
    }
    Object.assign(headers, contentHeaders(content, options.downloadName ?? nameOf(content)));
    // A range has a meaning for GET alone (RFC 9110, section 14.2).
    if (req.method === 'HEAD') {
      res.writeHead(200, { ...headers, 'Content-Length': content.sizeBytes }).end();
      return;
    }
    const asked =
      req.headers.range !== undefined && rangeApplies(req.headers, etag)
        ? parseByteRange(req.headers.range, content.sizeBytes)
        : null;
    if (asked === 'unsatisfiable') throw new RangeNotSatisfiable(content.sizeBytes);
    const object = await this.open(content, reader);
    await this.send(req, res, content, object, asked, headers);
  }

  private async send(
    req: Request,
    res: Response,
    content: Content,
    object: ObjectLease,
    asked: ByteRange | null,
    headers: Record<string, string | number>,
  ): Promise<void> {
    const range = asked ?? { start: 0, end: content.sizeBytes };
    headers['Content-Length'] = range.end - range.start;
    if (asked) {
      headers['Content-Range'] = `bytes ${asked.start}-${asked.end - 1}/${content.sizeBytes}`;
    }
    let outcome: 'good' | 'failed' = 'failed';
    const lease = this.buffers.lease(range.end - range.start);
    const body = new ResponseBody(req, res, this.stallLimitMs);
    const sendHead = () => void res.writeHead(asked ? 206 : 200, headers);
    try {
      if (range.start === range.end) {
        sendHead();
        res.end();
      } else {
        await sendBytes(object.reader, range, body, lease.buffers, sendHead);
      }
      outcome = 'good';
    } catch (error) {
      if (error instanceof ClientGone) {
        outcome = 'good';
        await body.abort();
        return;
      }
      if (error instanceof ObjectTooShort) this.complain(content, error);
      if (!res.headersSent) {
        throw error instanceof ObjectTooShort ? new FileDamaged(content.id) : error;
      }
      if (!(error instanceof ObjectTooShort)) this.complain(content, error);
      await body.abort();
    } finally {
      this.downloaded.inc(body.sentBytes);
      body.dispose();
      lease.release();
      object.release(outcome);
    }
  }

  private async open(content: Content, reader: UserId | null): Promise<ObjectLease> {
    try {
      return await this.objects.acquire(content.path, content.rowVersion);
    } catch (error) {
      if (!(error instanceof ObjectMissing)) throw error;
      // Between the look at the row and this one the collector may have taken both, rightly.
      await this.lookup.find(content.id, reader);
      this.complain(content, error);
      throw new FileDamaged(content.id);
    }
  }

  /** Tells the operator, who can have the storage verified. */
  private complain({ id, path }: Content, error: unknown): void {
    this.logger.error({ err: error, fileId: id, path }, 'Stored bytes cannot be read');
  }
}

/** What a content is called that comes without a name of its own. */
function nameOf({ id, fileType, name }: Content): string {
  if (name) return name;
  return fileType ? `file-${id}.${fileType}` : `file-${id}`;
}
