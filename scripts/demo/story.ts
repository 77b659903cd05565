import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  expectOk,
  type Api,
  type Dataset,
  type FileEntry,
  type Operation,
  type Version,
} from './api.js';
import { changesBetween, type Change } from './changes.js';
import {
  bold,
  dim,
  green,
  humanSize,
  red,
  say,
  shortDigest,
  step,
  table,
  yellow,
} from './terminal.js';

const SOURCE = new URL('../data/', import.meta.resolve('vega-datasets'));

/** Which real file stands under which path of the first version. */
const FIRST_FILES: Readonly<Record<string, string>> = {
  'weather/seattle.csv': 'seattle-weather.csv',
  'stocks.csv': 'stocks.csv',
  'cars.json': 'cars.json',
  'unemployment.tsv': 'unemployment.tsv',
  'flights/flights-3m.parquet': 'flights-3m.parquet',
};

const read = (name: string): Promise<Buffer> => readFile(new URL(name, SOURCE));
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The files of a version. */
interface Snapshot {
  readonly version: Version;
  readonly files: readonly FileEntry[];
}

/** Does the main job of the server on real files, and tells of it. */
export class Story {
  private dataset: Dataset | undefined;
  /** The uploads that are this demo's to give back. */
  private readonly uploads = new Set<number>();
  private failures = 0;

  constructor(private readonly api: Api) {}

  /** @returns whether everything came back as it went in */
  async tell(): Promise<boolean> {
    const dataset = await this.create();
    await this.commitTwice(dataset);
    const history = await this.history(dataset);
    this.showHistory(history);
    await this.readBack(dataset);
    await this.uploadAgain(history);
    this.showSavings(history);
    return this.failures === 0;
  }

  /** Takes away what the demo made. */
  async cleanUp(): Promise<void> {
    for (const fileId of this.uploads) {
      // Not there any more is just as good: a version may have used the upload.
      await this.api.DELETE('/api/v1/files/{fileId}', { params: { path: { fileId } } });
    }
    this.uploads.clear();
    if (!this.dataset) return;
    const { id: datasetId, name } = this.dataset;
    await expectOk(
      this.api.DELETE('/api/v1/datasets/{datasetId}', { params: { path: { datasetId } } }),
    );
    this.dataset = undefined;
    console.log(dim(`\nDeleted ${name} again; it can be restored until its retention has passed.`));
  }

  private async create(): Promise<Dataset> {
    step('Create a dataset with its first files, in one request');
    const name = `demo-${new Date().toISOString().replace(/\D/g, '')}`;
    const form = new FormData();
    form.set('name', name);
    form.set('description', 'Real public data from the npm package vega-datasets.');
    form.set('tags', 'demo,vega');
    form.set('message', 'First files');
    for (const [at, source] of Object.entries(FIRST_FILES)) {
      form.append('file', new Blob([new Uint8Array(await read(source))]), at);
    }
    const dataset = await expectOk(
      this.api.POST('/api/v1/datasets', { body: { name }, bodySerializer: () => form }),
    );
    this.dataset = dataset;
    say(`${green('✓')} ${bold(name)} is dataset ${dataset.id}, version ${dataset.latestVersion}`);
    table(
      [
        { title: 'PATH' },
        { title: 'SIZE', align: 'right' },
        { title: 'TYPE' },
        { title: 'SHA-256' },
      ],
      (await this.files(dataset, 'main')).map((file) => [
        file.path,
        humanSize(file.sizeBytes),
        file.fileType ?? '',
        dim(shortDigest(file.sha256)),
      ]),
    );
    return dataset;
  }

  private async commitTwice(dataset: Dataset): Promise<void> {
    step('Commit two more versions: only what changes is sent');
    await this.commit(dataset, 'Add airports, replace stocks, sort cars into a folder', [
      { op: 'put', path: 'reference/airports.csv', fileId: await this.upload('airports.csv') },
      { op: 'put', path: 'stocks.csv', fileId: await this.upload('sp500-2000.csv') },
      { op: 'move', from: 'cars.json', path: 'vehicles/cars.json' },
    ]);
    await this.commit(dataset, 'Drop unemployment, rename stocks, mirror the weather', [
      { op: 'remove', path: 'unemployment.tsv' },
      { op: 'move', from: 'stocks.csv', path: 'markets/stocks.csv' },
      {
        op: 'put',
        path: 'mirror/seattle.csv',
        sha256: sha256Of(await read('seattle-weather.csv')),
      },
    ]);
  }

  private async commit(
    { id: datasetId }: Dataset,
    message: string,
    operations: Operation[],
  ): Promise<void> {
    const version = await expectOk(
      this.api.POST('/api/v1/datasets/{datasetId}/versions', {
        params: { path: { datasetId } },
        body: { message, operations },
      }),
    );
    say(
      `${green('✓')} version ${version.versionNumber}  ${message}  ${dim(shortDigest(version.digest))}`,
    );
  }

  private async upload(source: string): Promise<number> {
    const { id } = await this.send(source);
    this.uploads.add(id);
    return id;
  }

  private async send(source: string): Promise<{ id: number; deduplicated: boolean }> {
    const bytes = await read(source);
    const uploaded = await expectOk(
      this.api.POST('/api/v1/files', {
        params: { query: { name: source } },
        headers: { 'Content-Type': 'application/octet-stream' },
        bodySerializer: () => bytes,
        body: {},
      }),
    );
    if ('items' in uploaded) throw new Error('One body was answered as several files.');
    return uploaded;
  }

  private async history(dataset: Dataset): Promise<Snapshot[]> {
    const { items } = await expectOk(
      this.api.GET('/api/v1/datasets/{datasetId}/versions', {
        params: { path: { datasetId: dataset.id } },
      }),
    );
    return Promise.all(
      items.toReversed().map(async (version) => ({
        version,
        files: await this.files(dataset, String(version.versionNumber)),
      })),
    );
  }

  private async files({ id: datasetId }: Dataset, ref: string): Promise<FileEntry[]> {
    const { items } = await expectOk(
      this.api.GET('/api/v1/datasets/{datasetId}/refs/{ref}/files', {
        params: { path: { datasetId, ref }, query: { limit: 1000 } },
      }),
    );
    return items.filter((item): item is FileEntry => 'path' in item);
  }

  private showHistory(history: readonly Snapshot[]): void {
    step('List the versions, and what each of them changed');
    const rows: string[][] = [];
    for (const [index, { version, files }] of history.entries()) {
      rows.push([
        bold(String(version.versionNumber)),
        bold(version.message),
        String(version.fileCount),
        humanSize(version.totalSizeBytes),
      ]);
      for (const change of changesBetween(history[index - 1]?.files ?? [], files)) {
        rows.push(['', ...describe(change)]);
      }
    }
    table(
      [
        { title: 'VERSION' },
        { title: 'MESSAGE' },
        { title: 'FILES', align: 'right' },
        { title: 'SIZE', align: 'right' },
      ],
      rows,
    );
  }

  private async readBack({ id: datasetId }: Dataset): Promise<void> {
    step('Read version 1 back, byte for byte, after all that');
    const rows: string[][] = [];
    for (const [at, source] of Object.entries(FIRST_FILES)) {
      const bytes = await expectOk(
        this.api.GET('/api/v1/datasets/{datasetId}/refs/{ref}/content', {
          params: { path: { datasetId, ref: '1' }, query: { path: at } },
          parseAs: 'arrayBuffer',
        }),
      );
      const wanted = sha256Of(await read(source));
      const got = sha256Of(new Uint8Array(bytes));
      if (got !== wanted) this.failures += 1;
      rows.push([
        got === wanted ? green('✓') : red('✗'),
        at,
        shortDigest(wanted),
        shortDigest(got),
        got === wanted ? green('the same') : red('NOT THE SAME'),
      ]);
    }
    table(
      [
        { title: '' },
        { title: 'PATH' },
        { title: 'SOURCE' },
        { title: 'VERSION 1' },
        { title: '' },
      ],
      rows,
    );
  }

  private async uploadAgain([first]: readonly Snapshot[]): Promise<void> {
    step('Upload the largest file once more');
    const source = 'flights-3m.parquet';
    const stored = first?.files.find(({ path }) => FIRST_FILES[path] === source);
    const { id, deduplicated } = await this.send(source);
    this.uploads.add(id);
    if (deduplicated && id === stored?.fileId) {
      say(`${green('✓')} ${source} is file ${id} already: nothing was stored`);
    } else {
      this.failures += 1;
      say(`${red('✗')} ${source} was stored a second time, as file ${id}`);
    }
  }

  private showSavings(history: readonly Snapshot[]): void {
    step('Count what deduplication saved');
    const all = history.flatMap(({ files }) => files);
    const contents = new Map(all.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
    const logical = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const stored = [...contents.values()].reduce((sum, size) => sum + size, 0);
    table(
      [{ title: '' }, { title: 'FILES', align: 'right' }, { title: 'BYTES', align: 'right' }],
      [
        [`in ${history.length} versions`, String(all.length), humanSize(logical)],
        ['stored, each content once', String(contents.size), humanSize(stored)],
        [
          bold('saved'),
          '',
          bold(
            green(`${humanSize(logical - stored)} (${Math.round((1 - stored / logical) * 100)} %)`),
          ),
        ],
      ],
    );
  }
}

/** The cells under MESSAGE, FILES and SIZE. */
function describe(change: Change): string[] {
  const { kind, path } = change;
  const size = humanSize(change.file.sizeBytes);
  switch (kind) {
    case 'added':
      return [`${green('+')} ${path}`, '', size];
    case 'removed':
      return [`${red('-')} ${path}`, '', size];
    case 'renamed':
      return [`${yellow('>')} ${dim(`${change.from} →`)} ${path}`, '', size];
    case 'changed':
      return [
        `${yellow('~')} ${path} ${dim(`was ${humanSize(change.before.sizeBytes)}`)}`,
        '',
        size,
      ];
  }
}
