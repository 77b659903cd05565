import { createParamDecorator, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import type { Request } from 'express';
import { InvalidInput } from '../core/problems.js';
import { parseJson } from '../platform/http/body.js';
import { checkInput } from '../platform/http/input-rules.js';
import { validationPipe } from '../platform/http/validation.js';
import { OperationsDto } from './drafts.dto.js';
import { parseOperationInputs, type OperationInput } from './operation-input.js';
import { CommitDto } from './versions.dto.js';
import type { WantedCommit } from './versions.service.js';

/** A form's text fields as the JSON body that they stand for. @throws InvalidInput */
export function bodyOfForm(fields: ReadonlyMap<string, string>): Record<string, unknown> {
  const body: Record<string, unknown> = { operations: [], ...Object.fromEntries(fields) };
  const operations = fields.get('operations');
  if (operations !== undefined) body['operations'] = jsonOf(operations);
  checkInput(body, 'form');
  return body;
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(Buffer.from(text));
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    throw new InvalidInput(`The field operations takes a JSON list. ${why}`, [
      { at: 'operations', message: 'takes a JSON list' },
    ]);
  }
}

const validation = validationPipe();

const toCommit: PipeTransform<unknown, Promise<WantedCommit>> = {
  async transform(body) {
    const dto = (await validation.transform(body ?? {}, {
      type: 'body',
      metatype: CommitDto,
    })) as CommitDto;
    return { ...dto, operations: parseOperationInputs(dto.operations) };
  },
};

const readBody = createParamDecorator((_: unknown, context: ExecutionContext): unknown => {
  const req = context.switchToHttp().getRequest<Request>();
  const { stagedUpload } = req;
  return stagedUpload?.kind === 'multipart' ? bodyOfForm(stagedUpload.fields) : req.body;
});

const toOperations: PipeTransform<unknown, Promise<OperationInput[]>> = {
  async transform(body) {
    const dto = (await validation.transform(body ?? {}, {
      type: 'body',
      metatype: OperationsDto,
    })) as OperationsDto;
    return parseOperationInputs(dto.operations);
  },
};

/** Injects operations, whether they came as JSON or in a form. */
export const OperationsBody = () => readBody(toOperations);

/** Injects a commit, whether it came as JSON or in a form. */
export const CommitBody = () => readBody(toCommit);
