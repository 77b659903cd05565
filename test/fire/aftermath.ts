import type { DataSource } from 'typeorm';
import type { components } from '../client/schema.js';
import type { Answer } from './burning-server.js';
import type { NotedVersion } from './ledger.js';
import type { Fire } from './writers.js';

type Version = components['schemas']['VersionView'];
interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** What stands at a path, by its content's digest. */
export type Tree = Record<string, string>;

/** Looks at what a fire has left, through the API alone. The server lives, and nobody writes. */
export class Aftermath {
  constructor(private readonly fire: Fire) {}

  /** What is untrue of what a client was told about a version; nothing where all of it is true. */
  async untrue(noted: NotedVersion): Promise<string[]> {
    const ref = `refs/${noted.versionNumber}`;
    const { status, body } = await this.#get<Version>(ref);
    if (status !== 200) return [`version ${noted.versionNumber} is gone: ${status}`];
    const complaints: string[] = [];
    if (body.digest !== noted.digest) complaints.push(`${ref} has another digest`);
    if (body.message !== noted.message) complaints.push(`${ref} has another message`);
    for (const [path, content] of noted.changes) {
      const at = `${ref}/content?path=${encodeURIComponent(path)}`;
      const found = await this.#get<string>(at);
      const isTrue = content === null ? found.status === 404 : found.body === content;
      if (!isTrue) complaints.push(`${at} is ${found.status} ${JSON.stringify(found.body)}`);
    }
    return complaints;
  }

  /** The versions that a branch's history is made of, the newest first. */
  history(branch: string): Promise<Version[]> {
    return this.#everything<Version>(`versions?ref=${branch}&limit=1000`);
  }

  async tree(ref: string | number): Promise<Tree> {
    const files = await this.#everything<{ path: string; sha256: string }>(
      `refs/${ref}/files?limit=1000`,
    );
    return Object.fromEntries(files.map(({ path, sha256 }) => [path, sha256]));
  }

  async status(at: string): Promise<number> {
    return (await this.#get(at)).status;
  }

  async #everything<T>(at: string): Promise<T[]> {
    const items: T[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const more: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { status, body }: Answer<Page<T>> = await this.#get<Page<T>>(at + more);
      if (status !== 200) throw new Error(`${at}: ${status} ${JSON.stringify(body)}`);
      items.push(...body.items);
      cursor = body.nextCursor;
    }
    return items;
  }

  async #get<T>(at: string): Promise<Answer<T>> {
    const { server, dataset } = this.fire;
    const answer = await server.call<T>('GET', `/datasets/${dataset}/${at}`);
    if (!answer) throw new Error(`${at} was not answered`);
    return answer;
  }
}

/** What a version holds by the plainest reading: every overlay since the first, one over the other. */
export async function replayed(database: DataSource, version: number): Promise<Tree> {
  const rows = await database.query<{ path: string; sha256: string | null }[]>(
    `WITH RECURSIVE line AS (
       SELECT id, parent_version_id, 0 AS age FROM dataset_versions WHERE id = $1
       UNION ALL
       SELECT p.id, p.parent_version_id, age + 1
       FROM line JOIN dataset_versions p ON p.id = line.parent_version_id
     )
     SELECT e.component_name AS path, f.content_hash AS sha256
     FROM line JOIN dataset_version_files e ON e.version_id = line.id
     LEFT JOIN files f ON f.id = e.file_id ORDER BY line.age DESC`,
    [version],
  );
  const tree = new Map<string, string>();
  for (const { path, sha256 } of rows) {
    if (sha256 === null) tree.delete(path);
    else tree.set(path, sha256);
  }
  return Object.fromEntries(tree);
}
