import { ValidationPipe, type ArgumentMetadata, type ValidationError } from '@nestjs/common';
import { InvalidInput } from '../../core/problems.js';
import { sealed } from './as-given.js';

function* flatten(errors: readonly ValidationError[], parent: string): Generator<[string, string]> {
  for (const error of errors) {
    const at = parent ? `${parent}.${error.property}` : error.property;
    for (const message of Object.values(error.constraints ?? {})) {
      // class-validator begins its messages with the property's name, which `at` already says.
      yield [
        at,
        message.startsWith(`${error.property} `)
          ? message.slice(error.property.length + 1)
          : message,
      ];
    }
    yield* flatten(error.children ?? [], at);
  }
}

/** Names that are left out before anybody could say that they are unknown. */
const LEFT_OUT = ['constructor', 'prototype'];

/** Refuses members of those names wherever they are, as any other unknown one. @throws InvalidInput */
function refuseLeftOut(value: unknown): void {
  const waiting: [value: unknown, at: string][] = [[value, '']];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [object, parent] = next;
    if (typeof object !== 'object' || object === null) continue;
    for (const [name, member] of Object.entries(object)) {
      const at = parent ? `${parent}.${name}` : name;
      if (LEFT_OUT.includes(name)) {
        const message = `property ${name} should not exist`;
        throw new InvalidInput(`${at} ${message}.`, [{ at, message }]);
      }
      waiting.push([member, at]);
    }
  }
}

class StrictValidationPipe extends ValidationPipe {
  /** Leaves lone parameters to their own pipes: `Number('0x1')` is 1, but no id is written so. */
  protected override transformPrimitive(value: unknown): unknown {
    return value;
  }

  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (!this.toValidate(metadata)) return super.transform(value, metadata);
    const body = sealed(value, metadata.metatype);
    // What is to be kept as it came has become text by now: there such names are data.
    refuseLeftOut(body);
    return super.transform(body, metadata);
  }
}

/** Turns requests into DTOs; refuses unknown properties and names every place that breaks a rule. */
export function validationPipe(): ValidationPipe {
  return new StrictValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    transform: true,
    exceptionFactory: (found) => {
      const errors = [...flatten(found, '')]
        .slice(0, 100)
        .map(([at, message]) => ({ at, message }));
      const first = errors[0];
      return new InvalidInput(
        first ? `${first.at} ${first.message}.` : 'The input breaks a rule.',
        errors,
      );
    },
  });
}
