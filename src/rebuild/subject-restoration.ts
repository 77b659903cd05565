import type { Tx, UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { Sha256 } from '../core/ids.js';
import type {
  DatasetContent,
  GroupContent,
  RecordName,
  UserContent,
} from '../records/record-format.js';
import type { RecordStore } from '../records/record-store.js';
import { PURGE_MEDIA_TYPE } from '../versioning/graph/purge-notice.js';
import type { Losses } from './losses.js';

/** Which table takes a kind of record that has a name of its own. */
type Named = 'users' | 'groups';

/**
 * Puts users, groups and datasets back under the ids that they had. Repeated, each leaves what is
 * there already as it is.
 */
export class SubjectRestoration {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly store: RecordStore,
    private readonly losses: Losses,
  ) {}

  /** @returns false where its record cannot be read, which is then a loss */
  async user(name: RecordName): Promise<boolean> {
    const user = await this.read<UserContent>(name);
    if (!user) return false;
    await this.unitOfWork.run(async (tx) => {
      const free = await this.#freeName(tx, 'users', name.id, user.name);
      await tx.query(
        `INSERT INTO users (id, name, role, created_at, disabled_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO NOTHING`,
        [name.id, free, user.role, user.createdAt, user.disabledAt],
      );
    });
    return true;
  }

  /** Makes sure of a user whom something else names, where no record does. */
  async ensureUser(tx: Tx, id: number, name: string): Promise<void> {
    const known = await tx.query('SELECT FROM users WHERE id = $1', [id]);
    if (known.length > 0) return;
    const free = await this.#freeName(tx, 'users', id, name);
    await tx.query(`INSERT INTO users (id, name, role) VALUES ($1, $2, 'member')`, [id, free]);
    this.losses.add('name', `Of user ${id} (${name}) only the name is known, not the role.`);
  }

  /** @returns false where its record cannot be read, which is then a loss */
  async group(name: RecordName): Promise<boolean> {
    const group = await this.read<GroupContent>(name);
    if (!group) return false;
    await this.unitOfWork.run(async (tx) => {
      const free = await this.#freeName(tx, 'groups', name.id, group.name);
      await tx.query(
        `INSERT INTO groups (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
        [name.id, free, group.createdAt],
      );
      await tx.query(
        `INSERT INTO group_members (group_id, user_id, added_at)
         SELECT $1, m."userId", m."addedAt"
         FROM jsonb_to_recordset($2::jsonb) AS m ("userId" integer, "addedAt" timestamptz)
         JOIN users u ON u.id = m."userId" ON CONFLICT DO NOTHING`,
        [name.id, JSON.stringify(group.members)],
      );
    });
    return true;
  }

  /** The row of a dataset, without its versions. */
  async dataset(tx: Tx, id: number, dataset: DatasetContent): Promise<void> {
    await this.ensureUser(tx, dataset.owner.id, dataset.owner.name);
    const taken = await tx.query(
      `SELECT FROM datasets WHERE name = $1 AND created_by = $2 AND id <> $3
         AND deleted_at IS NULL AND $4::timestamptz IS NULL`,
      [dataset.name, dataset.owner.id, id, dataset.deletedAt],
    );
    const name = taken.length === 0 ? dataset.name : this.#otherName('Dataset', id, dataset.name);
    await tx.query(
      `INSERT INTO datasets (id, name, description, metadata, created_by, default_branch,
         last_version_number, created_at, updated_at, deleted_at, removals_known_after)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
      [
        id,
        name,
        dataset.description,
        JSON.stringify(dataset.metadata),
        dataset.owner.id,
        dataset.defaultBranch,
        dataset.lastVersionNumber,
        dataset.createdAt,
        dataset.updatedAt,
        dataset.deletedAt,
        dataset.removalsKnownAfter,
      ],
    );
    await tx.query(
      `INSERT INTO dataset_removals (dataset_id, cause, record_file_id, removed_by, removed_at)
       SELECT $1, r.cause, f.id, u.id, r."removedAt"
       FROM ROWS FROM (
         jsonb_to_recordset($2::jsonb)
           AS (record text, cause text, "removedBy" integer, "removedAt" timestamptz)
       ) WITH ORDINALITY AS r (record, cause, "removedBy", "removedAt", place)
       JOIN files f ON f.content_hash = r.record LEFT JOIN users u ON u.id = r."removedBy"
       WHERE NOT EXISTS (SELECT FROM dataset_removals WHERE dataset_id = $1) ORDER BY r.place`,
      [id, JSON.stringify(dataset.removals)],
    );
    await this.#purges(tx, id, dataset);
  }

  /** What was purged, before the versions, in whose entries the notices stand. */
  async #purges(tx: Tx, id: number, { purges, owner }: DatasetContent): Promise<void> {
    if (purges.length === 0) return;
    const notices = await tx.query<{ sha256: Sha256 }>(
      `UPDATE files SET file_type = 'json', mime_type = $2
       WHERE content_hash = ANY($1::text[]) AND damaged_at IS NULL
       RETURNING content_hash AS sha256`,
      [purges.map(({ notice }) => notice), PURGE_MEDIA_TYPE],
    );
    const found = new Set(notices.map(({ sha256 }) => sha256));
    for (const { notice, sha256 } of purges) {
      if (found.has(notice)) continue;
      const text = `The notice ${notice} of the purge of ${sha256} in dataset ${id} is not in the storage.`;
      this.losses.add('record', text);
    }
    await tx.query(
      `INSERT INTO dataset_purges (dataset_id, content_hash, file_size, file_type, mime_type,
         notice_file_id, reason, entries, purged_by, purged_at, lifted_by, lifted_at, lift_reason)
       SELECT $1, p.sha256, p."sizeBytes", p."fileType", p."mimeType", f.id, p.reason, p.entries,
         coalesce((SELECT u.id FROM users u WHERE u.id = p."purgedBy"), $3), p."purgedAt",
         CASE WHEN p."liftedAt" IS NOT NULL
           THEN coalesce((SELECT u.id FROM users u WHERE u.id = p."liftedBy"), $3) END,
         p."liftedAt", p."liftReason"
       FROM jsonb_to_recordset($2::jsonb) AS p (notice text, sha256 text, "sizeBytes" bigint,
         "fileType" text, "mimeType" text, entries bigint, reason text, "purgedBy" integer,
         "purgedAt" timestamptz, "liftedBy" integer, "liftedAt" timestamptz, "liftReason" text)
       JOIN files f ON f.content_hash = p.notice AND f.damaged_at IS NULL
       WHERE NOT EXISTS (SELECT FROM dataset_purges WHERE dataset_id = $1) ORDER BY p."purgedAt"`,
      [id, JSON.stringify(purges), owner.id],
    );
    await tx.query(
      `UPDATE datasets SET has_purges = EXISTS (
         SELECT FROM dataset_purges WHERE dataset_id = $1 AND lifted_at IS NULL
       ) WHERE id = $1`,
      [id],
    );
  }

  /** What belongs to a dataset whose versions are there: tags, rules, grants, and at last pointers. */
  async belongings(tx: Tx, id: number, dataset: DatasetContent): Promise<void> {
    const json = (value: unknown): string => JSON.stringify(value);
    await tx.query(
      'INSERT INTO dataset_tags (dataset_id, tag_name) SELECT $1, unnest($2::text[])',
      [id, dataset.tags],
    );
    if (dataset.checks !== null) {
      await tx.query('INSERT INTO dataset_checks (dataset_id, rules) VALUES ($1, $2)', [
        id,
        json(dataset.checks),
      ]);
    }
    const { retention } = dataset;
    if (retention !== null) {
      await tx.query(
        `INSERT INTO dataset_retention (dataset_id, keep_last, keep_younger_than,
           keep_younger_than_ms, set_by, set_at)
         SELECT $1, $2, $3, $4, coalesce((SELECT id FROM users WHERE id = $5), $6), $7`,
        [
          id,
          retention.keepLast,
          retention.keepYoungerThan,
          retention.keepYoungerThanMs,
          retention.setBy,
          dataset.owner.id,
          retention.setAt,
        ],
      );
    }
    await tx.query(
      `INSERT INTO permissions (resource_type, resource_id, user_id, group_id, permission_type,
         granted_by, granted_at)
       SELECT 'dataset', $1, g."userId", g."groupId", g.permission, g."grantedBy", g."grantedAt"
       FROM jsonb_to_recordset($2::jsonb) AS g ("userId" integer, "groupId" integer,
         permission text, "grantedBy" integer, "grantedAt" timestamptz)
       WHERE (g."userId" IS NULL OR g."userId" IN (SELECT id FROM users))
         AND (g."groupId" IS NULL OR g."groupId" IN (SELECT id FROM groups))
         AND g."grantedBy" IN (SELECT id FROM users)`,
      [id, json(dataset.grants)],
    );
    await tx.query(
      `INSERT INTO dataset_deleted_branches (dataset_id, pointer_name, dataset_version_id,
         deleted_at)
       SELECT $1, b.name, v.id, b."deletedAt"
       FROM ROWS FROM (
         jsonb_to_recordset($2::jsonb) AS (name text, digest text, "deletedAt" timestamptz)
       ) WITH ORDINALITY AS b (name, digest, "deletedAt", place)
       LEFT JOIN dataset_versions v ON v.dataset_id = $1 AND v.digest = b.digest ORDER BY b.place`,
      [id, json(dataset.deletedBranches)],
    );
    await tx.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, dataset_version_id, is_tag,
         is_protected, created_at, updated_at)
       SELECT $1, p.name, v.id, p."isTag", p."isProtected", p."createdAt", p."updatedAt"
       FROM jsonb_to_recordset($2::jsonb) AS p (name text, digest text, "isTag" boolean,
         "isProtected" boolean, "createdAt" timestamptz, "updatedAt" timestamptz)
       LEFT JOIN dataset_versions v ON v.dataset_id = $1 AND v.digest = p.digest`,
      [id, json(dataset.pointers)],
    );
  }

  /** A record's content; null where it says that nothing is left, or where it is lost. */
  async read<C extends DatasetContent | GroupContent | UserContent>(
    name: RecordName,
  ): Promise<C | null> {
    try {
      const content = await this.store.read<C | { gone: true }>(name);
      return 'gone' in content ? null : content;
    } catch (error) {
      this.losses.add('record', `${(error as Error).message}`);
      return null;
    }
  }

  /** Two records may give one name where the newer of them had not been written. */
  async #freeName(tx: Tx, table: Named, id: number, name: string): Promise<string> {
    const taken = await tx.query(`SELECT FROM ${table} WHERE name = $1 AND id <> $2`, [name, id]);
    return taken.length === 0 ? name : this.#otherName(table, id, name);
  }

  #otherName(what: string, id: number, name: string): string {
    const other = `${name} (${id})`;
    this.losses.add('name', `${what} ${id} is called "${other}": "${name}" is taken.`);
    return other;
  }
}
