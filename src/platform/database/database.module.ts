import { type DynamicModule, Global, Logger, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { inspect } from 'node:util';
import { DataSource } from 'typeorm';
import { UNIT_OF_WORK } from '../../core/contracts/unit-of-work.js';
import { bindFactory } from '../../core/token.js';
import { postgresOptions } from './postgres-options.js';
import { TypeOrmUnitOfWork } from './unit-of-work.js';

export interface DatabaseOptions {
  readonly url: string;
  /** How many connections this process opens at most. */
  readonly poolSize: number;
}

/** The pool of connections and the transactions on it. Migrations have run before (`migrate`). */
@Global()
@Module({})
export class DatabaseModule {
  static register({ url, poolSize }: DatabaseOptions): DynamicModule {
    const logger = new Logger('Database');
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRoot({
          ...postgresOptions({
            url,
            poolSize,
            onPoolError: (error) => logger.warn(`An idle connection was lost: ${error.message}`),
          }),
          autoLoadEntities: true,
          // The server was up when the migrations ran; this bridges a short restart.
          retryAttempts: 5,
          retryDelay: 1_000,
        }),
      ],
      providers: [
        bindFactory(UNIT_OF_WORK, {
          useFactory: (dataSource: DataSource) =>
            new TypeOrmUnitOfWork(dataSource, (error) =>
              logger.error(`A transaction hook failed: ${inspect(error)}`),
            ),
          inject: [DataSource],
        }),
      ],
      exports: [UNIT_OF_WORK],
    };
  }
}
