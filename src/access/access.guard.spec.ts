import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import type { DataSource } from 'typeorm';
import { bareApp } from '../../test/builders/bare-app.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { Principal } from '../core/principal.js';
import {
  AdminOnly,
  OnDataset,
  OnFile,
  Public,
  SignedIn,
} from '../platform/http/access.decorators.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { AccessModule } from './access.module.js';
import { hashSecret } from './key-secret.js';

@Controller('probe')
class Probe {
  @Get('public') @Public() public_() {
    return { in: true };
  }
  @Get('signed-in') @SignedIn() signedIn(@CurrentPrincipal() principal: Principal) {
    return principal;
  }
  @Get('admin') @AdminOnly() admin() {
    return { in: true };
  }
  @Get('silent') silent() {
    return { in: true };
  }
  @Get('datasets/:datasetId') @OnDataset('read') dataset() {
    return { in: true };
  }
  @Get('datasets/:datasetId/write') @OnDataset('write') write() {
    return { in: true };
  }
  @Get('deleted/:id')
  @OnDataset('admin', { parameter: 'id', includeDeleted: true })
  deleted() {
    return { in: true };
  }
  @Get('files/:fileId') @OnFile('read') file() {
    return { in: true };
  }
  @Get('files/:fileId/admin') @OnFile('admin') fileAdmin() {
    return { in: true };
  }
}

const WHO = ['nobody', 'stranger', 'owner', 'admin', 'disabled', 'revoked', 'expired'] as const;

describe('AccessGuard', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let app: NestExpressApplication;
  let url: string;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    ({ app, url } = await bareApp(database.url, [AccessModule], { controllers: [Probe] }));
    await dataSource.query(`
      INSERT INTO users (id, name, role, disabled_at) VALUES
        (1, 'admin', 'admin', NULL), (2, 'owner', 'member', NULL), (3, 'stranger', 'member', NULL),
        (4, 'disabled', 'admin', now())`);
    const key = (user: number, secret: string, ends = 'NULL, NULL') =>
      dataSource.query(
        `INSERT INTO api_keys (user_id, name, prefix, secret_hash, expires_at, revoked_at)
         VALUES ($1, $2, '', $3, ${ends})`,
        [user, secret, hashSecret(secret)],
      );
    await key(1, 'admin');
    await key(2, 'owner');
    await key(3, 'stranger');
    await key(4, 'disabled');
    await key(1, 'revoked', 'NULL, now()');
    await key(1, 'expired', `now() - interval '1 second', NULL`);
    await dataSource.query(`
      INSERT INTO datasets (id, name, created_by, deleted_at) VALUES
        (1, 'living', 2, NULL), (2, 'deleted', 2, now());
      INSERT INTO files (id, storage_type, mime_type, file_path, file_size, content_hash) VALUES
        (1, 'local', 'text/csv', 'a', 1, repeat('a', 64)), (2, 'local', 'text/csv', 'b', 1, repeat('b', 64));
      INSERT INTO upload_holds (file_id, user_id, mime_type, expires_at) VALUES
        (1, 2, 'text/csv', now() + interval '1 hour');
      INSERT INTO dataset_versions
        (id, dataset_id, status, created_by, draft_branch, draft_touched_at) VALUES
        (1, 1, 'draft', 2, 'main', now());
      INSERT INTO dataset_version_files (version_id, component_name, file_id) VALUES (1, 'b', 2);`);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const get = (path: string, who: string) => {
    const sent = request(url).get(`/probe/${path}`);
    return who === 'nobody' ? sent : sent.set('Authorization', `Bearer ${who}`);
  };

  it.each<[path: string, Record<(typeof WHO)[number], number>]>([
    [
      'public',
      {
        nobody: 200,
        stranger: 200,
        owner: 200,
        admin: 200,
        disabled: 200,
        revoked: 200,
        expired: 200,
      },
    ],
    [
      'signed-in',
      {
        nobody: 401,
        stranger: 200,
        owner: 200,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'admin',
      {
        nobody: 401,
        stranger: 403,
        owner: 403,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'silent',
      {
        nobody: 401,
        stranger: 403,
        owner: 403,
        admin: 403,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'datasets/1',
      {
        nobody: 401,
        stranger: 404,
        owner: 200,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'datasets/1/write',
      {
        nobody: 401,
        stranger: 404,
        owner: 200,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'datasets/2',
      {
        nobody: 401,
        stranger: 404,
        owner: 404,
        admin: 404,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'deleted/2',
      {
        nobody: 401,
        stranger: 404,
        owner: 200,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'files/1/admin',
      {
        nobody: 401,
        stranger: 404,
        owner: 200,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'files/2',
      {
        nobody: 401,
        stranger: 404,
        owner: 200,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'files/2/admin',
      {
        nobody: 401,
        stranger: 404,
        owner: 403,
        admin: 200,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
    [
      'files/99',
      {
        nobody: 401,
        stranger: 404,
        owner: 404,
        admin: 404,
        disabled: 401,
        revoked: 401,
        expired: 401,
      },
    ],
  ])('lets in to %s whom it should', async (path, expected) => {
    const answers = await Promise.all(WHO.map(async (who) => (await get(path, who)).status));
    expect(Object.fromEntries(WHO.map((who, i) => [who, answers[i]]))).toEqual(expected);
  });

  it('says who the caller is', async () => {
    expect((await get('signed-in', 'owner')).body).toMatchObject({
      userId: 2,
      name: 'owner',
      role: 'member',
    });
  });

  it('asks for a bearer token where it refuses for want of one', async () => {
    expect((await get('signed-in', 'nobody')).headers['www-authenticate']).toBe('Bearer');
    expect((await get('signed-in', 'unknown')).headers['www-authenticate']).toBe('Bearer');
  });

  it('takes the scheme in any case, and no other scheme', async () => {
    const as = async (header: string) =>
      (await request(url).get('/probe/signed-in').set('Authorization', header)).status;
    expect(await as('bEARER  owner ')).toBe(200);
    expect(await as('Basic owner')).toBe(401);
    expect(await as('Bearer')).toBe(401);
    expect(await as('Bearer owner owner')).toBe(401);
  });

  it('answers for what may not be seen exactly as for what does not exist', async () => {
    const hidden = await get('datasets/1', 'stranger');
    const unknown = await get('datasets/7', 'stranger');
    expect(JSON.parse(hidden.text.replaceAll('1 ', '7 '))).toEqual(unknown.body);
    const file = await get('files/1', 'stranger');
    const noFile = await get('files/7', 'stranger');
    expect(JSON.parse(file.text.replaceAll('1 ', '7 '))).toEqual(noFile.body);
  });

  it.each(['0', '-1', '01', '1e3', '2147483648', '99999999999999999999', 'x', '1%00'])(
    'refuses %j as an id',
    async (id) => {
      expect((await get(`datasets/${id}`, 'stranger')).status).toBe(400);
      expect((await get(`files/${id}`, 'stranger')).status).toBe(400);
    },
  );

  it('looks at an id only after at who asks', async () => {
    expect((await get('datasets/x', 'nobody')).status).toBe(401);
  });
});
