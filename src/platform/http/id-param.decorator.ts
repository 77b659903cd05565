import { Param, type PipeTransform } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { MAX_ID } from '../../core/ids.js';
import { InvalidInput } from '../../core/problems.js';

/**
 * Parses an id: a whole number from 1 to 2^31 - 1, in decimal without leading zeros.
 * @throws InvalidInput naming where it stood
 */
export function parseId<Id extends number>(text: unknown, at: string): Id {
  if (typeof text === 'string' && /^[1-9]\d{0,9}$/.test(text) && Number(text) <= MAX_ID) {
    return Number(text) as Id;
  }
  const message = `takes a whole number from 1 to ${MAX_ID}`;
  throw new InvalidInput(`${at} ${message}.`, [{ at, message }]);
}

/** Injects a route parameter that is an id. */
export function IdParam(parameter: string): ParameterDecorator {
  const pipe: PipeTransform<string, number> = { transform: (text) => parseId(text, parameter) };
  return (target, propertyKey, index) => {
    Param(parameter, pipe)(target, propertyKey, index);
    if (propertyKey === undefined) return;
    const descriptor = Object.getOwnPropertyDescriptor(target, propertyKey);
    if (!descriptor) return;
    ApiParam({
      name: parameter,
      schema: { type: 'integer', minimum: 1, maximum: MAX_ID },
      example: 12,
    })(target, propertyKey, descriptor);
  };
}
