import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp } from '../app.js';
import { SearchApi } from '../builders/search-api.js';
import { codeOf } from '../builders/versions-api.js';

let server: TestApp;
let ada: SearchApi;
let bob: SearchApi;
let admin: SearchApi;

beforeAll(async () => {
  server = await startApp({ SEARCH_LANGUAGES: 'english,german,russian' });
  ada = new SearchApi(server, await server.user('ada'));
  bob = new SearchApi(server, await server.user('bob'));
  admin = new SearchApi(server, server.admin);
});

afterAll(() => server.close());

describe('searching datasets', () => {
  it('finds them by everything that describes them and their head, and shows where', async () => {
    await ada.described(
      {
        name: 'sea-ice-extent',
        description: 'Daily measurements around the poles.',
        tags: ['cryosphere'],
        metadata: { licence: 'CC-BY-4.0', stations: [{ name: 'Barrow' }] },
      },
      {
        'README.md': '# Frozen water\n\nCollected by satellites since 1978.',
        'data/northHemisphere_2024.csv': 'a,b\n1,2\n',
      },
    );
    await ada.indexed();
    expect(await ada.highlights('extent')).toEqual({
      name: ['sea-ice-<mark>extent</mark>'],
    });
    expect(await ada.highlights('measurement')).toEqual({
      description: ['Daily <mark>measurements</mark> around the poles.'],
    });
    expect(await ada.highlights('CRYOSPHERE')).toEqual({ tags: ['<mark>cryosphere</mark>'] });
    expect(await ada.highlights('barrow')).toEqual({
      metadata: ['stations name: <mark>Barrow</mark>'],
    });
    expect(await ada.highlights('satellite')).toEqual({
      readme: ['# Frozen water\n\nCollected by <mark>satellites</mark> since 1978.'],
    });
    expect(await ada.highlights('hemisphere csv')).toEqual({
      paths: ['data/north<mark>Hemisphere</mark>_2024.<mark>csv</mark>'],
    });
    // Words of different places together; and not where one is missing.
    expect(await ada.names('extent barrow satellite')).toEqual(['sea-ice-extent']);
    expect(await ada.names('extent nonsensical')).toEqual([]);
    const { body } = await ada.search({ q: 'extent' });
    expect(body).toMatchObject({ totalCount: 1, totalCountIsExact: true, nextCursor: null });
    expect(body.queryTimeMs).toBeGreaterThan(0);
    expect(body.items[0]).toMatchObject({
      owner: { name: 'ada' },
      fileCount: 2,
      fileTypes: ['csv', 'md'],
      tags: ['cryosphere'],
    });
    expect(body.items[0]?.relevanceScore).toBeGreaterThan(0);
    expect(body.items[0]?.relevanceScore).toBeLessThanOrEqual(1);
  });

  it('puts a name before a description, and that before a README', async () => {
    await ada.described({ name: 'third' }, { 'readme.txt': 'all about volcanoes' });
    await ada.described({ name: 'volcano register' });
    await ada.described({ name: 'second', description: 'each volcano of the world' });
    await ada.indexed();
    expect(await ada.names('volcano')).toEqual(['volcano register', 'second', 'third']);
  });

  it('knows words in a row, words that must not be there, and beginnings', async () => {
    await ada.described({ name: 'one', description: 'the red river delta' });
    await ada.described({ name: 'two', description: 'a river that runs red' });
    await ada.indexed();
    expect((await ada.names('red river')).sort()).toEqual(['one', 'two']);
    expect(await ada.names('"red river"')).toEqual(['one']);
    expect(await ada.names('red -delta')).toEqual(['two']);
    expect(await ada.names('red -"river delta"')).toEqual(['two']);
    expect(await ada.names('river del*')).toEqual(['one']);
    expect(await ada.names('"rivers"')).toEqual([]);
    expect((await ada.names('rivers')).sort()).toEqual(['one', 'two']);
  });

  it('forgives typing errors, but takes no short word for another', async () => {
    await ada.described({ name: 'temperature of the oceans' });
    await ada.described({ name: 'cats and cars' });
    await ada.indexed();
    for (const typed of ['temprature', 'tempreature', 'temperatrue', 'oceens temperature']) {
      expect([typed, await ada.names(typed)]).toEqual([typed, ['temperature of the oceans']]);
    }
    expect(await ada.highlights('temprature')).toEqual({
      name: ['<mark>temperature</mark> of the oceans'],
    });
    for (const other of ['cas', 'car', 'cot', 'bars', 'temporary']) {
      expect([other, await ada.names(other)]).toEqual([
        other,
        other === 'car' ? ['cats and cars'] : [],
      ]);
    }
    // What was typed comes before what it may have been meant for.
    await ada.described({ name: 'kernel' });
    await ada.described({ name: 'kernal' });
    await ada.indexed();
    expect(await ada.names('kernal')).toEqual(['kernal', 'kernel']);
    expect(await ada.names('"kernal"')).toEqual(['kernal']);
  });

  it('reads every language, and knows the forms of words in those that are set', async () => {
    const found = async (q: string) => (await ada.names(q)).toSorted();
    await ada.described({ name: 'ru', description: 'Климатические данные Арктики' });
    await ada.described({ name: 'zh', description: '北极海冰范围的每日数据' });
    await ada.described({ name: 'ja', description: '海氷データ2024の観測' });
    await ada.described({ name: 'de', description: 'Häuser und Straßen in Köln' });
    await ada.described({ name: 'fr', description: 'Données météorologiques' });
    await ada.described({ name: 'hi', description: 'समुद्री बर्फ का विस्तार' });
    await ada.described({ name: 'ar', description: 'بيانات المناخ' });
    await ada.indexed();
    for (const [q, names] of [
      ['данные', ['ru']],
      ['климатический', ['ru']],
      ['арктеки', ['ru']],
      ['海冰', ['zh']],
      ['海冰范围', ['zh']],
      ['数', ['zh']],
      ['データ', ['ja']],
      ['データ2024', ['ja']],
      ['haus', ['de']],
      ['strasse', ['de']],
      ['koln', ['de']],
      ['meteorologiques', ['fr']],
      ['météorologiques', ['fr']],
      ['विस्तार', ['hi']],
      ['المناخ', ['ar']],
    ] as const) {
      expect([q, await found(q)]).toEqual([q, names]);
    }
    expect(await ada.highlights('海冰')).toEqual({
      description: ['北极<mark>海冰</mark>范围的每日数据'],
    });
    expect(await ada.highlights('haus')).toEqual({
      description: ['<mark>Häuser</mark> und Straßen in Köln'],
    });
  });

  it('filters by tags, types, sizes, dates and owner, and counts what is left', async () => {
    const tagged = (name: string, tags: string[], files: Record<string, string>) =>
      ada.described({ name, description: 'pelican colony', tags }, files);
    await tagged('small', ['birds', 'coast'], { 'a.csv': '1' });
    await tagged('middle', ['birds'], { 'a.csv': '1'.repeat(100), 'b.parquet': 'x' });
    await tagged('large', ['coast'], { 'b.json': '1'.repeat(10_000) });
    await ada.indexed();
    const found = async (filter: Record<string, string | string[]>) =>
      (await ada.names({ q: 'pelican', ...filter })).sort();
    expect(await found({ tag: 'birds' })).toEqual(['middle', 'small']);
    expect(await found({ tag: ['birds', 'coast'] })).toEqual(['small']);
    expect(await found({ fileType: ['parquet', 'json'] })).toEqual(['large', 'middle']);
    expect(await found({ minSizeBytes: '2' })).toEqual(['large', 'middle']);
    expect(await found({ minSizeBytes: '2', maxSizeBytes: '101' })).toEqual(['middle']);
    expect(await found({ owner: 'ada' })).toEqual(['large', 'middle', 'small']);
    expect(await found({ owner: String(ada.user.id) })).toEqual(['large', 'middle', 'small']);
    expect(await found({ owner: 'bob' })).toEqual([]);
    const { body } = await ada.search({ q: 'pelican' });
    const middle = body.items.find(({ name }) => name === 'middle');
    expect(await found({ createdAfter: middle?.createdAt ?? '' })).toEqual(['large']);
    expect(await found({ createdBefore: middle?.createdAt ?? '' })).toEqual(['small']);
    expect(await found({ updatedAfter: middle?.updatedAt ?? '' })).toEqual(['large']);
    expect(await found({ updatedBefore: '2020-01-01' })).toEqual([]);
    expect(body.facets).toEqual({
      tags: [
        { value: 'birds', count: 2 },
        { value: 'coast', count: 2 },
      ],
      fileTypes: [
        { value: 'csv', count: 2 },
        { value: 'json', count: 1 },
        { value: 'parquet', count: 1 },
      ],
      owners: [{ value: 'ada', count: 3 }],
    });
    const filtered = await ada.search({ q: 'pelican', fileType: 'csv' });
    expect(filtered.body.totalCount).toBe(2);
    expect(filtered.body.facets.tags).toEqual([
      { value: 'birds', count: 2 },
      { value: 'coast', count: 1 },
    ]);
  });

  it('gives every match once over its pages, in every order', async () => {
    const names = Array.from({ length: 23 }, (_, at) => `page ${String(at).padStart(2, '0')}`);
    for (const name of names) await ada.described({ name, description: 'turning leaves' });
    await ada.indexed();
    const everything = async (query: Record<string, string>) => {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: Awaited<ReturnType<SearchApi['search']>> = await ada.search({
          ...query,
          limit: '5',
          ...(cursor && { cursor }),
        });
        expect(page.status).toBe(200);
        expect(page.body.totalCount).toBe(23);
        seen.push(...page.body.items.map(({ name }) => name));
        cursor = page.body.nextCursor;
      }
      return seen;
    };
    expect((await everything({ q: 'leaves' })).sort()).toEqual(names);
    expect((await everything({ q: 'leavse' })).sort()).toEqual(names);
    for (const sort of ['name', 'createdAt', 'updatedAt']) {
      expect(await everything({ q: 'leaves', sort })).toEqual(names);
      expect(await everything({ q: 'leaves', sort: `-${sort}` })).toEqual(names.toReversed());
    }
    expect((await everything({ q: 'leaves', sort: 'size' })).sort()).toEqual(names);
  });

  it('lists what the filters let through where no words are given', async () => {
    await ada.described({ name: 'older', tags: ['wordless'] });
    await ada.described({ name: 'newer', tags: ['wordless'] });
    await ada.indexed();
    const { body } = await ada.search({ tag: 'wordless' });
    expect(body.items.map(({ name }) => name)).toEqual(['newer', 'older']);
    expect(body.items[0]).toMatchObject({ relevanceScore: 0, matchedFields: [] });
    expect(await ada.names({ q: '?!', tag: 'wordless' })).toEqual([]);
    expect(await ada.names({ q: '  ', tag: 'wordless' })).toEqual(['newer', 'older']);
  });

  it('shows nobody anything that it may not read: no result, count, facet or suggestion', async () => {
    await bob.described(
      { name: 'clandestine', description: 'hidden treasure', tags: ['undercover'] },
      { 'map.xyz': 'the spot' },
    );
    await ada.described({ name: 'treasure island', tags: ['fiction'] });
    await ada.indexed();
    const { body } = await ada.search({ q: 'treasure' });
    expect(body.items.map(({ name }) => name)).toEqual(['treasure island']);
    expect(body.totalCount).toBe(1);
    expect(body.facets).toEqual({
      tags: [{ value: 'fiction', count: 1 }],
      fileTypes: [],
      owners: [{ value: 'ada', count: 1 }],
    });
    expect(await ada.names({ tag: 'undercover' })).toEqual([]);
    expect(await ada.names({ owner: 'bob' })).toEqual([]);
    for (const q of ['clandestine', 'cland', 'undercover', 'clandestime', 'underc']) {
      expect((await ada.suggest({ q })).body.items).toEqual([]);
    }
    expect((await bob.search({ q: 'treasure' })).body.totalCount).toBe(1);
    expect((await admin.search({ q: 'treasure' })).body.totalCount).toBe(2);
    expect((await admin.suggest({ q: 'underc' })).body.items).toEqual([
      { kind: 'tag', text: 'undercover', datasetId: null, score: 1 },
    ]);
  });

  it('answers a word the same whether or not somebody else has it', async () => {
    await bob.described({ name: 'private', description: 'glaciar' });
    await ada.described({ name: 'public', description: 'glacier' });
    await ada.indexed();
    // Bob's word is the one typed; Ada finds her own all the same.
    expect(await ada.names('glaciar')).toEqual(['public']);
    expect(await ada.names('glacior')).toEqual(['public']);
  });
});

describe('suggestions', () => {
  it('begin with what was typed, have a word that does, or are like it', async () => {
    const forest = await ada.described({ name: 'Forest cover', tags: ['forestry'] });
    const rain = await ada.described({ name: 'tropical rainforest', tags: ['biodiversity'] });
    await ada.indexed();
    const texts = async (q: string, limit = '10') =>
      (await ada.suggest({ q, limit })).body.items.map(({ text }) => text);
    expect((await ada.suggest({ q: 'fore' })).body.items).toEqual([
      { kind: 'dataset', text: 'Forest cover', datasetId: forest, score: 1 },
      { kind: 'tag', text: 'forestry', datasetId: null, score: 1 },
    ]);
    expect(await texts('fore', '1')).toEqual(['Forest cover']);
    expect(await texts('RAINF')).toEqual(['tropical rainforest']);
    expect(await texts('forset')).toContain('Forest cover');
    expect(await texts('biodivresity')).toContain('biodiversity');
    expect(await texts('tropcial')).toEqual(['tropical rainforest']);
    expect(await texts('zq')).toEqual([]);
    expect(await texts('.')).toEqual([]);
    await ada.call('DELETE', `/datasets/${rain}`);
    expect(await texts('tropical')).toEqual([]);
  });

  it('know other scripts', async () => {
    await ada.described({ name: 'Климат Арктики' });
    await ada.indexed();
    const texts = async (q: string) =>
      (await ada.suggest({ q })).body.items.map(({ text }) => text);
    expect(await texts('клим')).toEqual(['Климат Арктики']);
    expect(await texts('арктеки')).toEqual(['Климат Арктики']);
  });
});

describe('hostile input to searching', () => {
  it('makes no markup of what others have written', async () => {
    await ada.described({
      name: '<script>alert(1)</script> phishing',
      description: '"><img src=x onerror=alert(1)> phishing & more',
      metadata: { '<b>': "it's phishing" },
    });
    await ada.indexed();
    expect(await ada.highlights('phishing')).toEqual({
      name: ['&lt;script&gt;alert(1)&lt;/script&gt; <mark>phishing</mark>'],
      description: [
        '&quot;&gt;&lt;img src=x onerror=alert(1)&gt; <mark>phishing</mark> &amp; more',
      ],
      metadata: ['&lt;b&gt;: it&#39;s <mark>phishing</mark>'],
    });
    // What is marked is escaped as well.
    const marked = await ada.highlights('script');
    expect(marked['name']?.[0]).toContain('&lt;<mark>script</mark>&gt;alert');
  });

  it.each([
    "'; DROP TABLE datasets; --",
    "a' & 'b' | !c <-> d:*A",
    ':* & | ! ( ) <->',
    '\\',
    "\\' \\\\ '' '",
    '"""',
    '-',
    '- -- ---',
    '*',
    '**a** *b',
    '"unclosed words',
    '-"',
    '%_%',
    '\u{1f98a}\u200d\u{1f98a}',
    '\u202e\u0000'.replace('\0', ''),
    'a'.repeat(500),
    '海'.repeat(30),
    'ﷺ'.repeat(25),
    `${'x '.repeat(31)}x`,
  ])('reads %j as words or as nothing', async (q) => {
    expect((await ada.search({ q })).status).toBe(200);
    expect((await ada.suggest({ q: q.slice(0, 100) })).status).toBe(200);
  });

  it.each([
    ['datasets?q=%00', 'a NUL'],
    [`datasets?q=${'a'.repeat(501)}`, 'too long a text'],
    [`datasets?q=${'x%20'.repeat(40)}`, 'too many words'],
    ['datasets?q=a&q=b', 'two texts'],
    ['datasets?limit=0', 'no limit'],
    ['datasets?limit=101', 'too high a limit'],
    ['datasets?sort=price', 'an unknown order'],
    ['datasets?cursor=abc', 'a forged cursor'],
    [
      `datasets?sort=name&cursor=${Buffer.from('["name","exact",5,1]').toString('base64url')}`,
      'a cursor of another kind',
    ],
    [
      `datasets?q=a&cursor=${Buffer.from('["relevance","exact",1e400,1]').toString('base64url')}`,
      'a cursor with what is no number',
    ],
    ['datasets?minSizeBytes=-1', 'a negative size'],
    ['datasets?maxSizeBytes=1e3', 'no whole number'],
    ['datasets?createdAfter=yesterday', 'no date'],
    [`datasets?${'tag=a&'.repeat(21)}`, 'too many tags'],
    ['datasets?unknown=1', 'an unknown parameter'],
    ['suggest', 'nothing to suggest for'],
    ['suggest?q=', 'an empty text'],
    ['suggest?q=a&limit=51', 'too many suggestions'],
    ['files/xyz', 'no digest'],
    [`files/${'A'.repeat(64)}`, 'a digest in capitals'],
    [`files/${'a'.repeat(64)}?cursor=W10`, 'a forged cursor for places'],
  ])('refuses %s: %s', async (at) => {
    const answer = await ada.call('GET', `/search/${at}`);
    expect(codeOf(answer)).toBe('400 invalid-input');
  });

  it('lets nobody in without a key, and only administrators rebuild', async () => {
    for (const at of ['datasets', 'suggest?q=a', `files/${'a'.repeat(64)}`]) {
      const answer = await fetch(`${server.url}/api/v1/search/${at}`);
      expect(answer.status).toBe(401);
    }
    expect((await ada.call('POST', '/admin/search/rebuild')).status).toBe(403);
  });
});
