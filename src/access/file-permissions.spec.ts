import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { Reader, UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { ApiKeyId, FileId, UserId } from '../core/ids.js';
import type { Principal, Role } from '../core/principal.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { FilePermissions } from './file-permissions.js';
import { SqlAccessPolicy } from './sql-access-policy.js';

const principal = (userId: number, role: Role = 'member'): Principal => ({
  userId: userId as UserId,
  name: `user ${userId}`,
  role,
  keyId: 1 as ApiKeyId,
});
const ADMIN = principal(1, 'admin');
const OWNER = principal(2);
const OTHER = principal(3);
const FILE = 1 as FileId;
const LATER = 2 as FileId;
const MISSING = 99 as FileId;

/** The policy, which tells of each of its reads, and fails one caller's on demand. */
class WatchedPolicy extends SqlAccessPolicy {
  readonly reads: { caller: UserId; files: readonly FileId[] }[] = [];
  failsFor: UserId | null = null;

  override permissionsOnFiles(tx: Reader, caller: Principal, files: readonly FileId[]) {
    this.reads.push({ caller: caller.userId, files });
    if (caller.userId === this.failsFor) throw new Error('no connection');
    return super.permissionsOnFiles(tx, caller, files);
  }
}

describe('FilePermissions', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let unitOfWork: UnitOfWork;
  let policy: WatchedPolicy;
  let permissions: FilePermissions;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
    await dataSource.query(`
      INSERT INTO users (id, name, role) VALUES
        (1, 'admin', 'admin'), (2, 'owner', 'member'), (3, 'other', 'member');
      INSERT INTO files (id, storage_type, mime_type, file_path, file_size, content_hash)
        SELECT n, 'local', 'text/csv', n, 1, md5(n::text) || md5(n::text)
        FROM generate_series(1, 2) n`);
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    await dataSource.query(`
      DELETE FROM upload_holds;
      INSERT INTO upload_holds (file_id, user_id, mime_type, expires_at)
        VALUES (1, 2, 'text/csv', now() + interval '1 hour')`);
    policy = new WatchedPolicy();
    permissions = new FilePermissions(unitOfWork, policy);
  });

  it('tells everybody their own, though they ask at the same moment', async () => {
    const asked: [Principal, FileId][] = [
      [OWNER, FILE],
      [OTHER, FILE],
      [ADMIN, MISSING],
      [OWNER, LATER],
      [ADMIN, LATER],
      [OWNER, FILE],
    ];
    const held = await Promise.all(asked.map(([who, file]) => permissions.of(who, file)));
    expect(held).toEqual(['admin', null, null, null, 'admin', 'admin']);
  });

  it('reads once for each caller who asks at that moment, and each file once', async () => {
    await Promise.all([
      permissions.of(OWNER, FILE),
      permissions.of(OTHER, FILE),
      permissions.of(OWNER, LATER),
      permissions.of(OWNER, FILE),
    ]);
    expect(policy.reads).toEqual([
      { caller: OWNER.userId, files: [FILE, LATER] },
      { caller: OTHER.userId, files: [FILE] },
    ]);
  });

  it('remembers nothing: a hold that has been withdrawn opens nothing any more', async () => {
    expect(await permissions.of(OWNER, FILE)).toBe('admin');
    await dataSource.query('DELETE FROM upload_holds');
    expect(await permissions.of(OWNER, FILE)).toBeNull();
  });

  it('fails for those whose read failed, and for nobody else', async () => {
    policy.failsFor = OTHER.userId;
    const [owner, other] = await Promise.allSettled([
      permissions.of(OWNER, FILE),
      permissions.of(OTHER, FILE),
    ]);
    expect(owner).toEqual({ status: 'fulfilled', value: 'admin' });
    expect(other).toMatchObject({ status: 'rejected', reason: { message: 'no connection' } });
  });
});
