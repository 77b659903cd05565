import { Transform } from 'class-transformer';

const AS_GIVEN = Symbol('AS_GIVEN');

/**
 * Leaves the JSON of a DTO's property as it came. class-transformer would copy it, and trip over or
 * drop members with names such as `constructor`, which are data like any other here. Give it first,
 * so that the rules beside it see the JSON.
 */
export function AsGiven(): PropertyDecorator {
  return (target, property) => {
    const others = (Reflect.getMetadata(AS_GIVEN, target) ?? []) as (string | symbol)[];
    Reflect.defineMetadata(AS_GIVEN, [...others, property], target);
    const parse = ({ value }: { value: unknown }): unknown =>
      typeof value === 'string' ? JSON.parse(value) : value;
    Transform(parse)(target, property);
  };
}

/** A body with such properties of its class as text, which passes through untouched. */
export function sealed(body: unknown, dto: { prototype: object } | undefined): unknown {
  if (!dto || typeof body !== 'object' || body === null) return body;
  const properties = (Reflect.getMetadata(AS_GIVEN, dto.prototype) ?? []) as string[];
  const given = properties.filter((property) => Reflect.get(body, property) !== undefined);
  if (given.length === 0) return body;
  return {
    ...body,
    ...Object.fromEntries(given.map((name) => [name, JSON.stringify(Reflect.get(body, name))])),
  };
}
