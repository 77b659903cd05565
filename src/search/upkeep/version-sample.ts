import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import { COLUMN_NAMES, type ColumnNames } from '../../core/contracts/column-names.js';
import {
  FILE_CATALOG,
  FileDamaged,
  FileMissing,
  type FileCatalog,
} from '../../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  type VersionEntry,
  type VersionReader,
} from '../../core/contracts/versions.js';
import type { FileId, VersionId } from '../../core/ids.js';

/** How much of a version is indexed, whatever it holds: what keeps a commit's upkeep from growing. */
export const MOST_PATHS = 2_000;
const PATHS_OF_A_FOLDER = 100;
const MOST_PATH_UNITS = 60_000;
const MOST_COLUMNS = 2_000;
const MOST_COLUMN_UNITS = 20_000;
const README_BYTES = 64 * 1024;
const README_UNITS = 20_000;

const README = /^readme(\.(md|markdown|txt|rst|adoc|org))?$/i;
/** No name in a folder comes after it. */
const LAST_CHARACTER = '\u{10ffff}';

/** Where a large version is asked for its README. */
const README_BEGINNINGS = ['README', 'Readme', 'readme'];

/** What of a version is searched. */
export interface VersionSample {
  readonly headId: VersionId | null;
  readonly paths: readonly string[];
  readonly fileTypes: readonly string[];
  readonly columns: readonly string[];
  readonly readmeFileId: FileId | null;
  readonly readme: string;
}

export const NOTHING: VersionSample = {
  headId: null,
  paths: [],
  fileTypes: [],
  columns: [],
  readmeFileId: null,
  readme: '',
};

/** Reads a bounded part of a version: the cost does not grow with the version. */
@Injectable()
export class VersionSampler {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(COLUMN_NAMES) private readonly columns: ColumnNames,
  ) {}

  /** @param known what was read last time: the README of the same version is not read again */
  async sample(head: VersionId, known: VersionSample): Promise<VersionSample> {
    const isKnown = head === known.headId;
    const { entries, readme, columns } = await this.unitOfWork.read(async (tx) => {
      const found = await this.entries(tx, head);
      return {
        entries: found,
        readme: isKnown ? null : ((await this.readme(tx, head, found)) ?? null),
        // Not those of last time: what is known of the same files grows.
        columns: await this.columns.ofEntries(tx, found, MOST_COLUMNS),
      };
    });
    const readmeFileId = isKnown ? known.readmeFileId : (readme?.fileId ?? null);
    return {
      headId: head,
      paths: bounded(
        entries.map(({ path }) => path),
        MOST_PATH_UNITS,
      ),
      fileTypes: [...new Set(entries.flatMap(({ fileType }) => fileType ?? []))].sort(),
      columns: bounded(columns, MOST_COLUMN_UNITS),
      readmeFileId,
      readme: readmeFileId === known.readmeFileId ? known.readme : await this.text(readme),
    };
  }

  /**
   * The first entries of each folder, so that a folder with a million files does not hide the ones
   * after it.
   */
  private async entries(tx: Reader, version: VersionId): Promise<VersionEntry[]> {
    const entries: VersionEntry[] = [];
    let after: string | null = null;
    while (entries.length < MOST_PATHS) {
      const next: VersionEntry[] = await this.versions.entries(tx, version, {
        after,
        limit: PATHS_OF_A_FOLDER,
      });
      entries.push(...next);
      const last = next.at(-1);
      if (!last || next.length < PATHS_OF_A_FOLDER) break;
      const folder = folderOf(last.path);
      const isFull = folder !== '' && next[0]?.path.startsWith(`${folder}/`);
      after = isFull ? `${folder}/${LAST_CHARACTER}` : last.path;
    }
    return entries.slice(0, MOST_PATHS);
  }

  /** The README at the top: among the entries read already, or asked for by name. */
  private async readme(
    tx: Reader,
    version: VersionId,
    entries: readonly VersionEntry[],
  ): Promise<VersionEntry | undefined> {
    const isReadme = ({ path }: VersionEntry) => README.test(path);
    const found = entries.find(isReadme);
    if (found || entries.length < PATHS_OF_A_FOLDER) return found;
    for (const prefix of README_BEGINNINGS) {
      const page = await this.versions.entries(tx, version, { prefix, limit: 20 });
      const readme = page.find(isReadme);
      if (readme) return readme;
    }
    return undefined;
  }

  private async text(file: VersionEntry | null): Promise<string> {
    if (file === null) return '';
    const range = { start: 0, end: Math.min(file.sizeBytes, README_BYTES) };
    try {
      return await readText(await this.files.open(file.fileId, range));
    } catch (error) {
      // It has gone with its dataset, or will be indexed when it is healed and committed again.
      if (error instanceof FileMissing || error instanceof FileDamaged) return '';
      throw error;
    }
  }
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  // The last character may be cut in two, and the file need not be text at all.
  const text = Buffer.concat(chunks).toString('utf8');
  return text.replaceAll('\0', ' ').slice(0, README_UNITS).toWellFormed();
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** As many of the texts as fit. */
function bounded(texts: readonly string[], units: number): string[] {
  let left = units;
  const kept: string[] = [];
  for (const text of texts) {
    left -= text.length + 1;
    if (left < 0) break;
    kept.push(text);
  }
  return kept;
}
