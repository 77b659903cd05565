import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { DataSource } from 'typeorm';
import { ENTITIES } from '../../ormconfig.js';
import { postgresOptions } from '../../src/platform/database/postgres-options.js';
import { SERVER_URL_VARIABLE, TEMPLATE } from './names.js';

/** A migrated, empty database of a test file's own, on a real PostgreSQL. */
export interface TestDatabase {
  readonly url: string;
  /** A data source that knows all entities; closed by `drop` at the latest. */
  open(): Promise<DataSource>;
  /** Closes what `open` gave and drops the database, whoever else is connected. */
  drop(): Promise<void>;
}

const OBJECT_IN_USE = '55006';
const INSUFFICIENT_PRIVILEGE = '42501';

/** Makes a database for one test file. Call `drop` in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const server = process.env[SERVER_URL_VARIABLE];
  if (server === undefined) throw new Error('The test database server has not been started.');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await cloneTemplate(server, name);
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  const opened: DataSource[] = [];
  return {
    url,
    async open() {
      const dataSource = new DataSource({
        ...postgresOptions({ url, poolSize: 20, onPoolError: () => undefined }),
        entities: ENTITIES,
      });
      opened.push(dataSource);
      return dataSource.initialize();
    },
    async drop() {
      for (const dataSource of opened.splice(0)) {
        if (dataSource.isInitialized) await dataSource.destroy();
      }
      await dropDatabase(server, name);
    },
  };
}

/** PostgreSQL refuses to clone a database that another clone is being made of. */
function cloneTemplate(server: string, name: string): Promise<void> {
  return persist(server, `CREATE DATABASE "${name}" TEMPLATE ${TEMPLATE}`, OBJECT_IN_USE);
}

/** A vacuum worker in the database is not ours to end; it leaves by itself. */
function dropDatabase(server: string, name: string): Promise<void> {
  return persist(server, `DROP DATABASE "${name}" WITH (FORCE)`, INSUFFICIENT_PRIVILEGE);
}

/** Runs a statement, again where it failed with the code of what passes. */
async function persist(server: string, sql: string, passingCode: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await onServer(server, (client) => client.query(sql));
      return;
    } catch (error) {
      const passes = error instanceof DatabaseError && error.code === passingCode;
      if (!passes || attempt === 100) throw error;
      await sleep(20 + Math.random() * 80);
    }
  }
}

async function onServer(server: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
