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

class StrictValidationPipe extends ValidationPipe {
  /** Leaves lone parameters to their own pipes: `Number('0x1')` is 1, but no id is written so. */
  protected override transformPrimitive(value: unknown): unknown {
    return value;
  }

  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    const body = this.toValidate(metadata) ? sealed(value, metadata.metatype) : value;
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
