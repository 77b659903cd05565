import type { Request, Response } from 'express';
import multer from 'multer';
import { createHash, type Hash } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { DigestMismatch, UploadAborted } from '../../core/contracts/artifact-producer.js';
import { InvalidInput, Problem } from '../../core/problems.js';
import { BodyTooLarge } from '../../platform/http/http-problems.js';
import { giveChunksAway } from '../artifact/body-reader.js';
import { promisedSha256 } from './content-digest.js';
import type { UploadStorageEngine } from './upload-storage-engine.js';

/** What may wait in the parser and in a part: so little that the caches still have it by then. */
const PARSER_BYTES = 256 * 1024;
const PART_BYTES = 64 * 1024;

/** What multer takes beyond what its type declarations know. */
type MulterOptions = multer.Options & {
  highWaterMark: number;
  fileHwm: number;
  streamHandler: (req: Request, parser: Writable) => void;
};

type StoredCallback = Parameters<multer.StorageEngine['_handleFile']>[2];

const MAX_FILES = 1000;
const MAX_FIELDS = 100;

/** What the form's parser says of a form that is broken. */
const BROKEN_FORM = new Set([
  'Multipart: Boundary not found',
  'Malformed content type',
  'Malformed part header',
  'Unexpected end of form',
  'Unexpected end of file',
]);

/** multer's codes for a form that has more of something than is taken. */
const TOO_MUCH = new Set<string>([
  'LIMIT_PART_COUNT',
  'LIMIT_FILE_COUNT',
  'LIMIT_FIELD_COUNT',
  'LIMIT_FIELD_KEY',
  'LIMIT_FIELD_VALUE',
]);

/** What multer says when the sender has gone. */
const SENDER_GONE = new Set(['Request aborted', 'Request closed']);

/** How many files may be on their way to the disk before no more of the form is read. */
const MAX_PENDING_FILES = 16;

/** A form that is being read. */
interface FormInProgress {
  pendingFiles: number;
  /** Of a form whose sender promised a digest. */
  readonly hash: Hash | null;
  /** Reads on, where nothing holds the form back. */
  goOn: () => void;
  readonly fail: (error: unknown) => void;
}

/** Reads `multipart/form-data` (RFC 7578) through multer, its files staged as they arrive. */
export class FormReceiver {
  private readonly middleware;
  private readonly forms = new WeakMap<Request, FormInProgress>();

  constructor(
    private readonly engine: UploadStorageEngine,
    maxFieldBytes: number,
  ) {
    const options: MulterOptions = {
      storage: {
        _handleFile: (req, file, callback) => this.handle(req, file, callback),
        _removeFile: (req, file, callback) => engine._removeFile(req, file, callback),
      },
      preservePath: true,
      defParamCharset: 'utf8',
      highWaterMark: PARSER_BYTES,
      fileHwm: PART_BYTES,
      streamHandler: (req, parser) => this.feed(req, parser),
      limits: {
        files: MAX_FILES,
        fields: MAX_FIELDS,
        parts: MAX_FILES + MAX_FIELDS,
        fieldNameSize: 256,
        fieldSize: maxFieldBytes,
        // Fields are plain: `a[b]` is no path into an object.
        fieldNestingDepth: 0,
        headerPairs: 32,
      },
    };
    this.middleware = multer(options).any();
  }

  /**
   * Gives the files in their order. Of a form that fails nothing stays in staging.
   * @throws InvalidInput, BodyTooLarge, UploadAborted, DigestMismatch, StorageFull
   */
  async receive(req: Request, res: Response): Promise<Express.Multer.File[]> {
    const promised = promisedSha256(headerOf(req, 'content-digest'));
    await new Promise<void>((resolve, reject) => {
      const fail = (error: unknown) => reject(asProblem(error));
      const hash = promised === null ? null : createHash('sha256');
      this.forms.set(req, { pendingFiles: 0, hash, goOn: () => {}, fail });
      this.middleware(req, res, (error?: unknown) => (error ? fail(error) : resolve()));
    });
    return Array.isArray(req.files) ? req.files : [];
  }

  /** @throws DigestMismatch where the form as a whole is not the one that was promised */
  checkDigest(req: Request): void {
    const promised = promisedSha256(headerOf(req, 'content-digest'));
    const actual = this.forms.get(req)?.hash?.digest('hex');
    if (promised !== null && actual !== undefined && promised !== actual) {
      throw new DigestMismatch(promised, actual);
    }
  }

  private handle(req: Request, file: Express.Multer.File, callback: StoredCallback): void {
    const form = this.forms.get(req);
    if (form) form.pendingFiles++;
    this.engine._handleFile(req, file, (error, stored) => {
      callback(error, stored);
      if (!form) return;
      form.pendingFiles--;
      // multer would tell of it only once all that follows has come.
      if (error) form.fail(error);
      form.goOn();
    });
  }

  /**
   * Feeds the parser, and holds the form back while the parser is full or too many files are on
   * their way: small ones would otherwise pile up in memory, as they come faster than they sync.
   */
  private feed(req: Request, parser: Writable): void {
    const form = this.forms.get(req);
    if (!form) throw new Error('A form is fed that nobody reads');
    // multer takes its listeners away when it is done, also for a reason that only it knows. From
    // then on it lets the rest go by itself, and what is fed would pile up in the parser.
    const isOver = () => parser.destroyed || parser.listenerCount('file') === 0;
    const isHeldBack = () => parser.writableNeedDrain || form.pendingFiles >= MAX_PENDING_FILES;
    const onEnd = () => parser.end();
    const onData = (chunk: Buffer) => {
      if (isOver()) {
        req.off('data', onData).off('end', onEnd);
        return;
      }
      form.hash?.update(chunk);
      parser.write(chunk);
      if (isHeldBack()) req.pause();
    };
    const goOn = () => {
      if (!isHeldBack()) req.resume();
    };
    form.goOn = goOn;
    parser.on('drain', goOn);
    parser.on('file', (field: string, stream: Readable, part: { filename?: string }) => {
      // What the parser makes of a chunk that lies within a file is that chunk, and it is done with it.
      if (req.listenerCount('data') === 1) giveChunksAway(stream);
      // A part without a filename is passed by silently otherwise: its bytes would be lost.
      if (part.filename) return;
      stream.once('data', () =>
        parser.destroy(new InvalidInput(`The file in ${field} has no filename.`)),
      );
    });
    req.on('data', onData).on('end', onEnd);
  }
}

function headerOf(req: Request, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function asProblem(error: unknown): Error {
  if (error instanceof Problem) return error;
  if (error instanceof multer.MulterError) {
    const at = error.field ?? 'body';
    const detail = `The form cannot be taken: ${error.message} (${at}).`;
    return TOO_MUCH.has(error.code)
      ? new BodyTooLarge(detail)
      : new InvalidInput(detail, [{ at, message: error.message }]);
  }
  const cause = error instanceof Error ? error : new Error(String(error));
  if (SENDER_GONE.has(cause.message)) return new UploadAborted();
  if (BROKEN_FORM.has(cause.message)) {
    return new InvalidInput(`The form is broken: ${cause.message}.`);
  }
  return cause;
}
