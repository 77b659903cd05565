import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { VersioningFixture } from '../../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { AccessPolicy } from '../../core/contracts/access-policy.js';
import type { VersionOperation } from '../../core/contracts/versions.js';
import type { DatasetId, FileId, Sha256, UserId, VersionId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { readPosition } from '../../versioning/position.js';
import { ContentSearch, type ContentPlace, type PlaceCursor } from './content-search.js';
import { MOST_RANGES } from './version-ranges.js';

const CONTENTS = ['one', 'two', 'three'];
const PATHS = ['a', 'b', 'dir/c'];
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex') as Sha256;

/** Whoever made a dataset reads it, and nobody else. */
const OWNERS_READ = {
  readableDatasets: ({ userId }: Principal, alias: string, first: number) => ({
    sql: `${alias}.created_by = $${first}`,
    parameters: [userId],
  }),
} as Pick<AccessPolicy, 'readableDatasets'> as AccessPolicy;

describe('ContentSearch', () => {
  let database: TestDatabase;
  let fixture: VersioningFixture;
  let search: ContentSearch;
  let files: FileId[];

  beforeAll(async () => {
    database = await testDatabase();
    fixture = await VersioningFixture.on(await database.open());
    search = new ContentSearch(fixture.unitOfWork, OWNERS_READ, fixture.storage);
    files = await fixture.files(...CONTENTS);
  });
  afterAll(() => database.drop());

  const me = (userId: UserId = fixture.user): Principal => ({
    userId,
    name: 'ada',
    role: 'member',
    keyId: null,
  });

  const commit = (datasetId: DatasetId, branch: string, operations: VersionOperation[]) =>
    fixture.unitOfWork.run((tx) =>
      fixture.commits.commit(tx, {
        datasetId,
        branch,
        author: fixture.user,
        message: '',
        operations,
      }),
    );

  const fork = (dataset: DatasetId, branch: string, from: VersionId) =>
    fixture.dataSource.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, dataset_version_id, is_tag)
       VALUES ($1, $2, $3, FALSE)`,
      [dataset, branch, from],
    );

  /** Marks versions as removed, as removing them does before anything is swept. */
  async function tombstone(dataset: DatasetId, which: (number: number) => boolean): Promise<void> {
    const versions = await fixture.dataSource.query<{ id: VersionId; version_number: number }[]>(
      'SELECT id, version_number FROM dataset_versions WHERE dataset_id = $1',
      [dataset],
    );
    await fixture.dataSource.query(
      `WITH removal AS (
         INSERT INTO dataset_removals (dataset_id, cause, record_file_id)
         VALUES ($1, 'retention', $2) RETURNING id
       )
       UPDATE dataset_versions v SET status = 'removed', removal_id = removal.id, removed_at = now()
       FROM removal WHERE v.id = ANY($3::integer[])`,
      [
        dataset,
        files[0],
        versions.filter((version) => which(version.version_number)).map(({ id }) => id),
      ],
    );
  }

  async function allPlaces(content: string, limit: number, who = me()): Promise<ContentPlace[]> {
    const places: ContentPlace[] = [];
    let after: PlaceCursor | null = null;
    do {
      const page: Awaited<ReturnType<ContentSearch['find']>> = await search.find(
        who,
        sha256(content),
        { after, limit },
      );
      expect(page.places.length).toBeLessThanOrEqual(limit);
      places.push(...page.places);
      after = page.next;
    } while (after);
    return places;
  }

  /** The numbers of the kept versions in a place's ranges, by following parents from the last. */
  async function numbersOf(dataset: DatasetId, { versions }: ContentPlace): Promise<number[]> {
    const numbers: number[] = [];
    for (const { first, last } of versions) {
      const rows = await fixture.dataSource.query<{ version_number: number }[]>(
        `WITH RECURSIVE line AS (
           SELECT id, version_number, parent_version_id, status FROM dataset_versions
           WHERE dataset_id = $1 AND version_number = $2
           UNION ALL
           SELECT v.id, v.version_number, v.parent_version_id, v.status
           FROM line JOIN dataset_versions v ON v.id = line.parent_version_id
           WHERE line.version_number <> $3
         ) SELECT version_number FROM line WHERE status = 'committed'`,
        [dataset, last.versionNumber, first.versionNumber],
      );
      expect(rows.at(-1)?.version_number).toBe(first.versionNumber);
      numbers.push(...rows.map(({ version_number }) => version_number));
    }
    return numbers;
  }

  /** What each version holds, read one by one. */
  async function truth(dataset: DatasetId, content: string): Promise<string[]> {
    const file = files[CONTENTS.indexOf(content)];
    const versions = await fixture.dataSource.query<{ id: VersionId; version_number: number }[]>(
      `SELECT id, version_number FROM dataset_versions
       WHERE dataset_id = $1 AND status = 'committed'`,
      [dataset],
    );
    const held: string[] = [];
    await fixture.unitOfWork.read(async (tx) => {
      for (const { id, version_number } of versions) {
        const found = await fixture.tree.lookup(tx, await readPosition(tx, id), PATHS);
        for (const [path, { fileId }] of found) {
          if (fileId === file) held.push(`${path}@${version_number}`);
        }
      }
    });
    return held.sort();
  }

  async function told(dataset: DatasetId, content: string, limit: number): Promise<string[]> {
    const held: string[] = [];
    for (const place of await allPlaces(content, limit)) {
      if (place.datasetId !== dataset) continue;
      expect(place.hasMoreVersions).toBe(false);
      for (const number of await numbersOf(dataset, place)) held.push(`${place.path}@${number}`);
    }
    return held.sort();
  }

  const step = fc.record({
    branch: fc.nat({ max: 2 }),
    path: fc.constantFrom(...PATHS),
    content: fc.option(fc.nat({ max: 2 }), { freq: 4 }),
    /** Also rewrites many other paths, so that lineages are copied and begun anew. */
    heavy: fc.boolean(),
    forks: fc.boolean(),
  });

  it('tells exactly the versions that have a content, whatever the history', async () => {
    let made = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const dataset = await fixture.aDataset();
        const branches = ['main'];
        for (const { branch, path, content, heavy, forks } of steps) {
          const name = branches[branch % branches.length] ?? 'main';
          const filler = (await fixture.files(`filler ${(made += 1)}`))[0] as FileId;
          const operations: VersionOperation[] = Array.from(
            { length: heavy ? 300 : 1 },
            (_, at) => ({ op: 'put', path: `filler/${at}`, fileId: filler }),
          );
          if (content !== null) {
            operations.push({ op: 'put', path, fileId: files[content] as FileId });
          } else {
            const head = await fixture.unitOfWork.read((tx) =>
              fixture.refs.branchHead(tx, dataset, name),
            );
            const there =
              head &&
              (await fixture.unitOfWork.read(async (tx) =>
                fixture.tree.lookup(tx, await readPosition(tx, head.id), [path]),
              ));
            if (there?.has(path)) operations.push({ op: 'remove', path });
          }
          const version = await commit(dataset, name, operations);
          if (forks && branches.length < 3) {
            branches.push(`branch-${branches.length}`);
            await fork(dataset, branches.at(-1) ?? '', version.id);
          }
        }
        for (const content of CONTENTS) {
          expect(await told(dataset, content, 2)).toEqual(await truth(dataset, content));
        }
        // Nor of what was removed: its rows may stay for those that came after it.
        await tombstone(dataset, (number) => number % 3 === 1);
        for (const content of CONTENTS) {
          expect(await told(dataset, content, 2)).toEqual(await truth(dataset, content));
        }
      }),
      { numRuns: 15 },
    );
  });

  it('begins lineages anew in such histories, or the test above shows little', async () => {
    const [counted] = await fixture.dataSource.query<{ snapshots: number; forks: number }[]>(
      `SELECT (SELECT count(*) FROM dataset_versions WHERE snapshot_lineage_id IS NOT NULL)::integer
           AS snapshots,
         (SELECT count(*) FROM dataset_lineages WHERE ancestor_lineages <> '{}')::integer AS forks`,
    );
    expect(counted?.snapshots).toBeGreaterThan(0);
    expect(counted?.forks).toBeGreaterThan(0);
  });

  it('bounds what is told of a history that has forked without end', async () => {
    const dataset = await fixture.aDataset();
    const [file, other] = (await fixture.files('forked', 'other')) as [FileId, FileId];
    const first = await commit(dataset, 'main', [{ op: 'put', path: 'a', fileId: file }]);
    for (let number = 0; number < MOST_RANGES + 5; number++) {
      await fork(dataset, `fork-${number}`, first.id);
      await commit(dataset, `fork-${number}`, [{ op: 'put', path: `b${number}`, fileId: other }]);
    }
    const [place] = await allPlaces('forked', 10);
    expect(place?.versions).toHaveLength(MOST_RANGES);
    expect(place?.hasMoreVersions).toBe(true);
  });

  it('answers for what only others have as for what nobody has', async () => {
    const dataset = await fixture.aDataset();
    const [file] = (await fixture.files('mine')) as [FileId];
    await commit(dataset, 'main', [{ op: 'put', path: 'a', fileId: file }]);
    const stranger = me((fixture.user + 1) as UserId);
    expect(await allPlaces('mine', 10)).toHaveLength(1);
    expect(await search.find(stranger, sha256('mine'), { after: null, limit: 10 })).toEqual(
      await search.find(stranger, sha256('nobody has it'), { after: null, limit: 10 }),
    );
    await fixture.dataSource.query('UPDATE datasets SET deleted_at = now() WHERE id = $1', [
      dataset,
    ]);
    expect(await allPlaces('mine', 10)).toEqual([]);
  });
});
