import type { FactoryProvider, InjectionToken, Provider, Type } from '@nestjs/common';

declare const contract: unique symbol;

/** An injection token that carries the contract of what is bound to it. */
export type Token<T> = InjectionToken & { readonly [contract]?: T };

/** Makes the token of a contract; `name` shows up in Nest's error messages. */
export function token<T>(name: string): Token<T> {
  return Symbol(name);
}

/** Binds a class to a token and refuses, when compiled, a class that does not fit the contract. */
export function bind<T>(to: Token<T>, implementation: Type<T>): Provider<T> {
  return { provide: to, useExisting: implementation };
}

/** Binds what a factory makes to a token; the factory's result must fit the contract. */
export function bindFactory<T>(
  to: Token<T>,
  factory: Pick<FactoryProvider<T>, 'useFactory' | 'inject'>,
): Provider<T> {
  return { provide: to, ...factory };
}
