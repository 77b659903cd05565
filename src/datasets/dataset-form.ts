import { createParamDecorator, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import type { Request } from 'express';
import { InvalidInput } from '../core/problems.js';
import { parseJson } from '../platform/http/body.js';
import { checkInput } from '../platform/http/input-rules.js';
import { validationPipe } from '../platform/http/validation.js';
import { messageComplaint } from './dataset-rules.js';
import { CreateDatasetDto } from './datasets.dto.js';

/** The form's field that is about the first version, not about the dataset. */
const MESSAGE_FIELD = 'message';

/** A form's text fields as the JSON body that they stand for. @throws InvalidInput */
export function bodyOfForm(fields: ReadonlyMap<string, string>): Record<string, unknown> {
  const body: Record<string, unknown> = Object.fromEntries(fields);
  delete body[MESSAGE_FIELD];
  const { metadata, tags } = Object.fromEntries(fields);
  if (metadata !== undefined) body['metadata'] = jsonOf(metadata, 'metadata');
  if (tags !== undefined) {
    body['tags'] = tags.startsWith('[')
      ? jsonOf(tags, 'tags')
      : tags.split(',').flatMap((tag) => tag.trim() || []);
  }
  checkInput(body, 'form');
  return body;
}

/** The message that a form gives for the first version. @throws InvalidInput */
export function messageOfForm(fields: ReadonlyMap<string, string>): string {
  const message = fields.get(MESSAGE_FIELD) ?? '';
  const complaint = messageComplaint(message);
  if (!complaint) return message;
  throw new InvalidInput(`${MESSAGE_FIELD} ${complaint}.`, [
    { at: MESSAGE_FIELD, message: complaint },
  ]);
}

function jsonOf(text: string, field: string): unknown {
  try {
    return parseJson(Buffer.from(text));
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    throw new InvalidInput(`The field ${field} takes JSON. ${why}`, [
      { at: field, message: 'takes JSON' },
    ]);
  }
}

const toDto: PipeTransform<unknown, Promise<CreateDatasetDto>> = (() => {
  const validation = validationPipe();
  return {
    transform: (body) =>
      validation.transform(body, {
        type: 'body',
        metatype: CreateDatasetDto,
      }) as Promise<CreateDatasetDto>,
  };
})();

const readBody = createParamDecorator((_: unknown, context: ExecutionContext): unknown => {
  const req = context.switchToHttp().getRequest<Request>();
  const { stagedUpload } = req;
  return stagedUpload?.kind === 'multipart' ? bodyOfForm(stagedUpload.fields) : req.body;
});

/** Injects a new dataset's description, whether it came as JSON or in a form. */
export const DatasetBody = () => readBody(toDto);
