import { Inject, Injectable, type PipeTransform } from '@nestjs/common';
import type { Request, Response } from 'express';
import { createHash } from 'node:crypto';
import {
  ARTIFACT_PRODUCER,
  type ArtifactProducer,
} from '../../core/contracts/artifact-producer.js';
import type {
  StagedBodies,
  StagedPart,
  StagedUpload,
  UploadReceiver,
} from '../../core/contracts/staged-upload.js';
import { InvalidInput } from '../../core/problems.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import type {} from '../../platform/http/body.js';
import { UnsupportedMediaType } from '../../platform/http/http-problems.js';
import { checkText } from '../../platform/http/input-rules.js';
import { validationPipe } from '../../platform/http/validation.js';
import { MAX_NAME_LENGTH, UploadQuery } from '../files.dto.js';
import { promisedSha256 } from './content-digest.js';
import { FormReceiver } from './form-receiver.js';
import { UploadStorageEngine, type IncomingFile } from './upload-storage-engine.js';

const FORM = /^multipart\/form-data\s*(;|$)/i;

const NOTHING: StagedUpload = { kind: 'none', parts: [], fields: new Map() };

/** Stages what a request's body holds: all of it, or each file of a form. */
@Injectable()
export class HttpUploadReceiver implements UploadReceiver {
  private readonly engine: UploadStorageEngine;
  private readonly forms: FormReceiver;
  private readonly queryPipe: PipeTransform = validationPipe();
  private readonly received = new WeakMap<Request, Promise<StagedUpload>>();

  constructor(
    @Inject(ARTIFACT_PRODUCER) private readonly producer: ArtifactProducer,
    @Inject(CONFIG) config: Pick<Config, 'JSON_LIMIT_BYTES'>,
  ) {
    this.engine = new UploadStorageEngine(producer);
    this.forms = new FormReceiver(this.engine, config.JSON_LIMIT_BYTES);
  }

  receive(req: Request, res: Response, bodies: StagedBodies): Promise<StagedUpload> {
    let upload = this.received.get(req);
    if (!upload) {
      upload = this.stage(req, res, bodies);
      this.received.set(req, upload);
    }
    return upload;
  }

  private async stage(req: Request, res: Response, bodies: StagedBodies): Promise<StagedUpload> {
    const isForm = FORM.test(req.headers['content-type'] ?? '');
    if (!isForm && bodies === 'multipart') return NOTHING;
    const upload = isForm ? await this.form(req, res) : await this.raw(req, res);
    req.bodyFingerprint = fingerprintOf(upload);
    return upload;
  }

  private async raw(req: Request, res: Response): Promise<StagedUpload> {
    const { name, fileType, compressionType } = req.query;
    const query = (await this.queryPipe.transform(
      { name, fileType, compressionType },
      { type: 'query', metatype: UploadQuery },
    )) as UploadQuery;
    const coding = req.headers['content-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'identity') {
      throw new UnsupportedMediaType(
        `Content-Encoding ${coding} is not undone here: send the bytes as they are to be stored.`,
      );
    }
    const length = req.headers['content-length'];
    const stagedKey = await this.handle(req, {
      originalname: query.name ?? '',
      mimetype: req.headers['content-type'] ?? '',
      stream: req,
      fileType: query.fileType,
      compressionType: query.compressionType,
      expectedSha256: promisedSha256(req.headers['content-digest']?.toString()),
      expectedBytes: length === undefined ? null : Number(length),
    });
    const part = { field: null, name: query.name ?? null, artifact: this.engine.take(stagedKey) };
    this.dropWith(res, [part]);
    return { kind: 'raw', parts: [part], fields: new Map() };
  }

  private handle(req: Request, file: IncomingFile): Promise<string> {
    return new Promise((resolve, reject) => {
      this.engine._handleFile(req, file, (error, stored) => {
        if (stored?.path) resolve(stored.path);
        else reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  private async form(req: Request, res: Response): Promise<StagedUpload> {
    const files = await this.forms.receive(req, res);
    const parts = files.map((file): StagedPart => ({
      field: file.fieldname,
      name: file.originalname,
      artifact: this.engine.take(file.path),
    }));
    this.dropWith(res, parts);
    this.forms.checkDigest(req);
    for (const { field, name } of parts) {
      checkText(field ?? '', 'a field name');
      checkText(name ?? '', `the filename in ${field}`);
      if (name && name.length > MAX_NAME_LENGTH) {
        throw new InvalidInput(`A filename in ${field} is longer than ${MAX_NAME_LENGTH}.`);
      }
    }
    return { kind: 'multipart', parts, fields: fieldsOf(req.body) };
  }

  /** Drops what nobody has registered by the time the response is over, however it ends. */
  private dropWith(res: Response, parts: readonly StagedPart[]): void {
    const drop = () => void this.producer.discard(parts.map(({ artifact }) => artifact));
    if (res.closed) drop();
    else res.once('close', drop);
  }
}

function fieldsOf(body: unknown): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(body ?? {})) {
    checkText(name, 'a field name');
    if (typeof value !== 'string') {
      throw new InvalidInput(`${name} is given more than once.`, [
        { at: name, message: 'is given more than once' },
      ]);
    }
    checkText(value, name);
    fields.set(name, value);
  }
  return fields;
}

/** Tells this body from any other, with what it says of itself. */
function fingerprintOf({ kind, parts, fields }: StagedUpload): string {
  const told = parts.map(({ field, name, artifact }) => [
    field,
    name,
    artifact.sha256,
    artifact.fileType,
    artifact.mimeType,
    artifact.compressionType,
  ]);
  return createHash('sha256')
    .update(JSON.stringify([kind, told, [...fields]]))
    .digest('hex');
}
