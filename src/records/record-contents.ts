import type { Reader } from '../core/contracts/unit-of-work.js';
import type { RecordContent, RecordKind } from './record-format.js';

const USERS = `
  SELECT id, jsonb_build_object('name', name, 'role', role, 'createdAt', created_at,
    'disabledAt', disabled_at) AS content
  FROM users WHERE id = ANY($1::integer[])`;

const GROUPS = `
  SELECT g.id, jsonb_build_object('name', g.name, 'createdAt', g.created_at,
    'members', (SELECT coalesce(jsonb_agg(jsonb_build_object('userId', m.user_id,
        'addedAt', m.added_at) ORDER BY m.user_id), '[]')
      FROM group_members m WHERE m.group_id = g.id)) AS content
  FROM groups g WHERE g.id = ANY($1::integer[])`;

// A version without a child is the last of its lineage that was not removed, so that the cost is that
// of the lineages, of which there are few, and not that of the versions.
const DATASETS = `
  SELECT d.id, jsonb_build_object(
    'name', d.name, 'description', d.description, 'metadata', d.metadata,
    'owner', jsonb_build_object('id', u.id, 'name', u.name), 'defaultBranch', d.default_branch,
    'lastVersionNumber', d.last_version_number, 'createdAt', d.created_at,
    'updatedAt', d.updated_at, 'deletedAt', d.deleted_at,
    'tags', (SELECT coalesce(jsonb_agg(t.tag_name ORDER BY t.tag_name), '[]')
      FROM dataset_tags t WHERE t.dataset_id = d.id),
    'checks', (SELECT c.rules FROM dataset_checks c WHERE c.dataset_id = d.id),
    'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object('userId', g.user_id,
        'groupId', g.group_id, 'permission', g.permission_type, 'grantedBy', g.granted_by,
        'grantedAt', g.granted_at) ORDER BY g.id), '[]')
      FROM permissions g WHERE g.resource_type = 'dataset' AND g.resource_id = d.id),
    'pointers', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', p.pointer_name,
        'isTag', p.is_tag, 'isProtected', p.is_protected, 'digest', v.digest,
        'createdAt', p.created_at, 'updatedAt', p.updated_at) ORDER BY p.pointer_name), '[]')
      FROM dataset_pointers p LEFT JOIN dataset_versions v ON v.id = p.dataset_version_id
      WHERE p.dataset_id = d.id),
    'deletedBranches', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', b.pointer_name,
        'digest', v.digest, 'deletedAt', b.deleted_at) ORDER BY b.id), '[]')
      FROM dataset_deleted_branches b
      LEFT JOIN dataset_versions v ON v.id = b.dataset_version_id WHERE b.dataset_id = d.id),
    'retention', (SELECT jsonb_build_object('keepLast', r.keep_last,
        'keepYoungerThan', r.keep_younger_than, 'keepYoungerThanMs', r.keep_younger_than_ms,
        'setBy', r.set_by, 'setAt', r.set_at)
      FROM dataset_retention r WHERE r.dataset_id = d.id),
    'removalsKnownAfter', d.removals_known_after,
    'removals', (SELECT coalesce(jsonb_agg(jsonb_build_object('record', f.content_hash,
        'cause', r.cause, 'removedBy', r.removed_by, 'removedAt', r.removed_at) ORDER BY r.id), '[]')
      FROM dataset_removals r JOIN files f ON f.id = r.record_file_id WHERE r.dataset_id = d.id),
    'purges', (SELECT coalesce(jsonb_agg(jsonb_build_object('notice', f.content_hash,
        'sha256', p.content_hash, 'sizeBytes', p.file_size, 'fileType', p.file_type,
        'mimeType', p.mime_type, 'entries', p.entries, 'reason', p.reason,
        'purgedBy', p.purged_by, 'purgedAt', p.purged_at, 'liftedBy', p.lifted_by,
        'liftedAt', p.lifted_at, 'liftReason', p.lift_reason) ORDER BY p.id), '[]')
      FROM dataset_purges p JOIN files f ON f.id = p.notice_file_id WHERE p.dataset_id = d.id),
    'tips', (SELECT coalesce(jsonb_agg(tip.digest ORDER BY tip.digest), '[]')
      FROM dataset_lineages l CROSS JOIN LATERAL (
        SELECT v.id, v.digest FROM dataset_versions v
        WHERE v.lineage_id = l.id AND v.status = 'committed' ORDER BY v.lineage_depth DESC LIMIT 1
      ) tip
      WHERE l.dataset_id = d.id AND NOT EXISTS (
        SELECT FROM dataset_versions c WHERE c.parent_version_id = tip.id AND c.status = 'committed'
      ) AND NOT EXISTS (
        SELECT FROM dataset_versions c WHERE c.merge_parent_id = tip.id AND c.status = 'committed'
      ))
  ) AS content
  FROM datasets d JOIN users u ON u.id = d.created_by
  WHERE d.id = ANY($1::integer[]) AND d.forgotten_at IS NULL`;

const STATEMENTS: Record<RecordKind, string> = {
  dataset: DATASETS,
  group: GROUPS,
  user: USERS,
};

/** What the database says of some subjects at one moment; of those that are not there, that they are gone. */
export async function readContents(
  tx: Reader,
  kind: RecordKind,
  ids: readonly number[],
): Promise<Map<number, RecordContent>> {
  const rows = await tx.query<{ id: number; content: RecordContent }>(STATEMENTS[kind], [ids]);
  const found = new Map(rows.map(({ id, content }) => [id, content]));
  return new Map(ids.map((id) => [id, found.get(id) ?? { gone: true }]));
}
