import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { ApiKeyId, FileId, UserId } from '../core/ids.js';
import type { Principal, Role } from '../core/principal.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
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

/** What each file is reached by. */
const FILES = {
  heldByOwner: 1,
  heldByOwnerOnce: 2,
  inDataset: 3,
  inDraft: 4,
  overlay: 5,
  inDeletedDataset: 6,
  nowhere: 7,
  inDatasetOfOther: 8,
  missing: 99,
} as const;

describe('SqlAccessPolicy', () => {
  let database: TestDatabase;
  let unitOfWork: UnitOfWork;
  const policy = new SqlAccessPolicy();

  beforeAll(async () => {
    database = await testDatabase();
    const dataSource = await database.open();
    unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
    await dataSource.query(`
      INSERT INTO users (id, name, role) VALUES
        (1, 'admin', 'admin'), (2, 'owner', 'member'), (3, 'other', 'member');
      INSERT INTO files (id, storage_type, mime_type, file_path, file_size, content_hash)
        SELECT n, 'local', 'text/csv', n, 1, md5(n::text) || md5(n::text)
        FROM generate_series(1, 8) n;
      INSERT INTO upload_holds (file_id, user_id, mime_type, expires_at) VALUES
        (1, 2, 'text/csv', now() + interval '1 hour'),
        (2, 2, 'text/csv', now() - interval '1 second');
      INSERT INTO datasets (id, name, created_by, deleted_at) VALUES
        (1, 'living', 2, NULL), (2, 'deleted', 2, now()), (3, 'of other', 3, NULL);
      INSERT INTO dataset_lineages (id, dataset_id) VALUES (1, 1);
      INSERT INTO dataset_versions
        (id, dataset_id, status, created_by, draft_branch, draft_touched_at) VALUES
        (1, 1, 'draft', 2, 'main', now()), (2, 1, 'draft', 2, 'main', now()),
        (3, 2, 'draft', 2, 'main', now()), (4, 3, 'draft', 3, 'main', now());
      UPDATE dataset_versions SET status = 'committed', version_number = 1, committed_at = now(),
        overlay_file_id = 5, digest = repeat('d', 64), lineage_id = 1, lineage_depth = 0
        WHERE id = 1;
      INSERT INTO dataset_version_files (version_id, component_name, file_id) VALUES
        (1, 'a', 3), (2, 'a', 4), (3, 'a', 6), (4, 'a', 8), (4, 'removed', NULL)`);
  });
  afterAll(() => database.drop());

  const readable = async (who: Principal) => {
    const ids = Object.values(FILES) as number[] as FileId[];
    const found = await unitOfWork.read((tx) => policy.readableFiles(tx, who, ids));
    return Object.entries(FILES)
      .filter(([, id]) => found.has(id as FileId))
      .map(([name]) => name);
  };

  it('opens a file through a living hold and through versions of a readable dataset', async () => {
    expect(await readable(OWNER)).toEqual(['heldByOwner', 'inDataset', 'inDraft', 'overlay']);
    expect(await readable(OTHER)).toEqual(['inDatasetOfOther']);
  });

  it('opens every file that exists to an administrator', async () => {
    expect(await readable(ADMIN)).toEqual(Object.keys(FILES).filter((name) => name !== 'missing'));
  });

  it('agrees with itself: a file can be required exactly where it is readable', async () => {
    for (const who of [ADMIN, OWNER, OTHER]) {
      const required: string[] = [];
      for (const [name, id] of Object.entries(FILES)) {
        await unitOfWork
          .read((tx) => policy.requireFile(tx, who, id as FileId, 'read'))
          .then(
            () => required.push(name),
            () => undefined,
          );
      }
      expect(required).toEqual(await readable(who));
    }
  });

  it.each([
    ['an administrator', ADMIN, [1, 2, 3]],
    ['an owner', OWNER, [1, 2]],
    ['another', OTHER, [3]],
  ])('gives lists the condition under which %s may read', async (_, who, expected) => {
    const condition = policy.readableDatasets(who, 'd', 2);
    const rows = await unitOfWork.read((tx) =>
      tx.query<{ id: number }>(
        `SELECT id FROM datasets d WHERE id <> $1 AND ${condition.sql} ORDER BY id`,
        [0, ...condition.parameters],
      ),
    );
    expect(rows.map(({ id }) => id)).toEqual(expected);
  });
});
