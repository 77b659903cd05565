import { DataSource } from 'typeorm';
import type { TestApp, TestUser } from '../app.js';
import type { components } from '../client/schema.js';
import { eventually } from './eventually.js';
import { VersionsApi, type Answer } from './versions-api.js';

export type Found = components['schemas']['FoundDatasetsView'];
export type Suggested = components['schemas']['SuggestionsView'];
export type Places = components['schemas']['ContentPlacePage'];

/** Speaks plain HTTP about searching, where a typed client would hide what is sent. */
export class SearchApi extends VersionsApi {
  constructor(server: TestApp, user: TestUser) {
    super(server, user);
  }

  /** A dataset that is described so; with files, these are its first version. */
  async described(
    dataset: { name: string; description?: string; tags?: string[]; metadata?: object },
    files: Record<string, string> = {},
  ): Promise<number> {
    const { body } = await this.call<{ id: number }>('POST', '/datasets', { json: dataset });
    if (!body.id) throw new Error(JSON.stringify(body));
    if (Object.keys(files).length > 0) await this.commitFiles(body.id, files);
    return body.id;
  }

  search(query: Record<string, string | string[]>): Promise<Answer<Found>> {
    return this.call<Found>('GET', `/search/datasets?${toQuery(query)}`);
  }

  suggest(query: Record<string, string>): Promise<Answer<Suggested>> {
    return this.call<Suggested>('GET', `/search/suggest?${toQuery(query)}`);
  }

  places(sha256: string, query: Record<string, string> = {}): Promise<Answer<Places>> {
    return this.call<Places>('GET', `/search/files/${sha256}?${toQuery(query)}`);
  }

  /** The names of what a search finds, in order. */
  async names(query: string | Record<string, string | string[]>): Promise<string[]> {
    const { status, body } = await this.search(typeof query === 'string' ? { q: query } : query);
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.items.map(({ name }) => name);
  }

  /** What each field of the only dataset that is found has to show. */
  async highlights(q: string): Promise<Record<string, string[]>> {
    const { body } = await this.search({ q });
    const [item, ...others] = body.items;
    if (!item || others.length > 0) throw new Error(`${q} finds ${body.items.length}`);
    return Object.fromEntries(
      item.matchedFields.map(({ field, highlights }) => [field, highlights]),
    );
  }

  /** Waits until all tables have been read, and everything that has been told is indexed. */
  async indexed(): Promise<void> {
    await eventually(async () => {
      const [waiting] = await this.#database<{ waiting: number }>(
        `SELECT ((SELECT count(*) FROM events e JOIN event_subscriptions u
             ON (e.transaction_id, e.position) > (u.transaction_id, u.position)
             WHERE (u.name = 'search.upkeep' AND e.type LIKE 'dataset.%')
               OR (u.name = 'tables.capture-schemas' AND e.type = 'dataset.version.created'))
           + (SELECT count(*) FROM event_deliveries
              WHERE subscription IN ('search.upkeep', 'tables.capture-schemas'))
           + (SELECT count(*) FROM jobs
              WHERE kind = 'tables.capture-schemas' AND state IN ('queued', 'running'))
           + (SELECT count(*) FROM search_pending))::integer AS waiting`,
      );
      return waiting?.waiting === 0 ? true : null;
    });
  }

  async #database<Row>(sql: string): Promise<Row[]> {
    return this.server.app.get(DataSource).query<Row[]>(sql);
  }
}

function toQuery(query: Record<string, string | string[]>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) parameters.append(name, each);
  }
  return parameters.toString();
}
