/** The server without guard, policy and audit: everybody is the administrator, nothing is recorded. */
import 'reflect-metadata';
import type { ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import type { AddressInfo } from 'node:net';
import { Client } from 'pg';
import { pino } from 'pino';
import { AccessGuard } from '../../../src/access/access.guard.js';
import { AdminBootstrap } from '../../../src/access/admin-bootstrap.js';
import type { UserId } from '../../../src/core/ids.js';
import type { Principal } from '../../../src/core/principal.js';
import { readConfig } from '../../../src/platform/config/config.js';
import { openDatabase } from '../../../src/platform/database/open-database.js';
import { drain } from '../../../src/http-application.js';
import { createServer } from '../../../src/server.js';

const EVERYBODY: Principal = { userId: 1 as UserId, name: 'admin', role: 'admin', keyId: null };

const config = readConfig(process.env);
const database = await openDatabase(config, pino({ level: config.LOG_LEVEL }));
await dropAudit(database.url);
AccessGuard.prototype.canActivate = (context: ExecutionContext) => {
  context.switchToHttp().getRequest<Request>().principal = EVERYBODY;
  return Promise.resolve(true);
};
const app = await createServer({ config, databaseUrl: database.url });
await app.get(AdminBootstrap, { strict: false }).ensureAdministrator();
await app.listen(0, '127.0.0.1');
process.once('SIGTERM', () => {
  void drain(app, 1_000)
    .then(() => database.close())
    .then(() => process.exit(0));
});
const { port } = app.getHttpServer().address() as AddressInfo;
process.stdout.write(`listens on ${port}\n`);

async function dropAudit(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`
    DO $$ DECLARE t record; BEGIN
      FOR t IN SELECT tgname, tgrelid::regclass AS audited FROM pg_trigger
        JOIN pg_proc p ON p.oid = tgfoid WHERE p.proname = 'audit_change'
      LOOP EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.audited); END LOOP;
    END $$`);
  await client.end();
}
