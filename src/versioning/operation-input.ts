import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { isSha256, MAX_ID } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import { InvalidInput } from '../core/problems.js';
import { MAX_PATH_BYTES, pathComplaint } from './graph/path.js';

const MAX_METADATA_BYTES = 64 * 1024;

const PATH = {
  description:
    'Relative, segments separated by `/`, at most 1,024 bytes of UTF-8; kept exactly as it is written.',
  minLength: 1,
  maxLength: MAX_PATH_BYTES,
  example: 'measurements/2026/sea-ice.csv',
};

export class PutOperation {
  @ApiProperty({ enum: ['put'] })
  op!: 'put';

  @ApiProperty(PATH)
  path!: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: 'A file that you may read. Either this or `sha256`.',
    example: 31,
  })
  fileId?: number;

  @ApiPropertyOptional({
    pattern: '^[0-9a-f]{64}$',
    description: 'The digest of a content that you may read. Either this or `fileId`.',
    example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  })
  sha256?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'Kept with the path, in this version and those after it until it is put anew.',
    example: { delimiter: ';' },
  })
  metadata?: JsonObject | null;
}

export class RemoveOperation {
  @ApiProperty({ enum: ['remove'] })
  op!: 'remove';

  @ApiProperty(PATH)
  path!: string;
}

export class MoveOperation {
  @ApiProperty({ enum: ['move'] })
  op!: 'move';

  @ApiProperty({ ...PATH, description: 'Where the file stands.' })
  from!: string;

  @ApiProperty({ ...PATH, description: 'Where it shall stand; nothing may be there.' })
  path!: string;
}

/** One change, as a request says it. */
export type OperationInput = PutOperation | RemoveOperation | MoveOperation;

type Complaint = { at: string; message: string };

const MEMBERS: Record<string, readonly string[]> = {
  put: ['op', 'path', 'fileId', 'sha256', 'metadata'],
  remove: ['op', 'path'],
  move: ['op', 'from', 'path'],
};

/**
 * Parses a list of operations. Written by hand because a commit may have a hundred thousand of them,
 * for which decorators on each would take longer than the commit itself.
 * @throws InvalidInput naming each place that is wrong, up to ten
 */
export function parseOperationInputs(value: unknown): OperationInput[] {
  if (!Array.isArray(value)) throw invalid([{ at: 'operations', message: 'takes a list' }]);
  const complaints: Complaint[] = [];
  value.forEach((operation: unknown, index) => {
    if (complaints.length < 10) complaints.push(...complain(operation, `operations.${index}`));
  });
  if (complaints.length > 0) throw invalid(complaints);
  return value as OperationInput[];
}

function invalid(complaints: Complaint[]): InvalidInput {
  const [first] = complaints;
  return new InvalidInput(`${first?.at} ${first?.message}.`, complaints);
}

function* complain(operation: unknown, at: string): Generator<Complaint, void> {
  if (!isObject(operation)) {
    yield { at, message: 'takes an object' };
    return;
  }
  const members = typeof operation.op === 'string' ? MEMBERS[operation.op] : undefined;
  if (!members) {
    yield { at: `${at}.op`, message: 'takes put, remove or move' };
    return;
  }
  for (const name of Object.keys(operation)) {
    if (!members.includes(name)) yield { at: `${at}.${name}`, message: 'should not exist' };
  }
  for (const name of ['path', 'from']) {
    if (!members.includes(name)) continue;
    const complaint = pathComplaint(operation[name]);
    if (complaint !== null) yield { at: `${at}.${name}`, message: complaint };
  }
  if (operation.op === 'put') yield* complainOfContent(operation, at);
}

function* complainOfContent(
  { fileId, sha256, metadata }: Record<string, unknown>,
  at: string,
): Generator<Complaint, void> {
  if ((fileId === undefined) === (sha256 === undefined)) {
    yield { at, message: 'takes either fileId or sha256' };
  }
  if (fileId !== undefined && !isId(fileId)) {
    yield { at: `${at}.fileId`, message: `takes a whole number from 1 to ${MAX_ID}` };
  }
  if (sha256 !== undefined && !(typeof sha256 === 'string' && isSha256(sha256))) {
    yield { at: `${at}.sha256`, message: 'takes 64 lower-case hexadecimal digits' };
  }
  if (metadata !== undefined && metadata !== null) {
    if (!isObject(metadata)) yield { at: `${at}.metadata`, message: 'takes an object or null' };
    else if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_METADATA_BYTES) {
      yield { at: `${at}.metadata`, message: `takes at most ${MAX_METADATA_BYTES} bytes of JSON` };
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;
}
