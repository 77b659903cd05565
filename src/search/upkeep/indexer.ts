import { Inject, Injectable, Logger } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { VERSION_READER, type VersionReader } from '../../core/contracts/versions.js';
import type { DatasetId } from '../../core/ids.js';
import { metadataText } from '../text/metadata-text.js';
import { Stemmer } from '../text/stemmer.js';
import { VectorSource, type WeightedText } from '../text/vector.js';
import {
  deleteDocument,
  readSample,
  readTruth,
  writeDocument,
  type DatasetTruth,
  type IndexedDataset,
} from './document-store.js';
import { claimSome, putOff, settle, type Claim } from './pending.js';
import { NOTHING, VersionSampler, type VersionSample } from './version-sample.js';

/** How many datasets are claimed with one statement, and how many of them are worked on at a time. */
const BATCH = 64;
const AT_A_TIME = 3;

/** Makes documents of what datasets are now, whatever has happened to them, and in which order. */
@Injectable()
export class Indexer {
  private readonly logger = new Logger('SearchIndexer');

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    private readonly sampler: VersionSampler,
    private readonly stemmer: Stemmer,
  ) {}

  /**
   * Brings everything up to date that is marked, and is not being done by somebody else. What is
   * marked meanwhile is left to whoever was set off by that.
   * @param onBatch told how many have been done
   */
  async drain(
    signal: AbortSignal,
    onBatch: (done: number) => Promise<void> = async () => undefined,
  ): Promise<number> {
    let done = 0;
    for (;;) {
      signal.throwIfAborted();
      const claims = await this.unitOfWork.run((tx) => claimSome(tx, BATCH));
      const waiting = [...claims];
      await Promise.all(
        Array.from({ length: AT_A_TIME }, async () => {
          for (let claim = waiting.pop(); claim; claim = waiting.pop()) await this.attempt(claim);
        }),
      );
      done += claims.length;
      await onBatch(done);
      if (claims.length < BATCH) return done;
    }
  }

  private async attempt(claim: Claim): Promise<void> {
    try {
      await this.index(claim);
    } catch (error) {
      this.logger.warn(
        { err: error, datasetId: claim.datasetId },
        'A dataset could not be indexed; it is tried again later',
      );
      await this.unitOfWork.run((tx) => putOff(tx, claim));
    }
  }

  private async index(claim: Claim): Promise<void> {
    const indexed = await this.make(claim.datasetId);
    await this.unitOfWork.run(async (tx) => {
      if (!(await settle(tx, claim))) return;
      if (indexed) await writeDocument(tx, indexed);
      else await deleteDocument(tx, claim.datasetId);
    });
  }

  /** Reads and cuts up everything, outside of any transaction; null for a deleted dataset. */
  private async make(dataset: DatasetId): Promise<IndexedDataset | null> {
    const { truth, head, known } = await this.unitOfWork.read(async (tx) => {
      const found = await readTruth(tx, dataset);
      return {
        truth: found,
        head: found && (await this.versions.head(tx, dataset, found.defaultBranch)),
        known: await readSample(tx, dataset),
      };
    });
    if (!truth) return null;
    const sample = head ? await this.sampler.sample(head.id, known) : NOTHING;
    const title = new VectorSource(titleOf(truth));
    const document = new VectorSource([...titleOf(truth), ...restOf(truth, sample)]);
    const stems = await this.unitOfWork.read((tx) => this.stemmer.stem(tx, document.written()));
    const { fileCount = 0, totalSizeBytes = 0 } = head ?? {};
    return { truth, sample, totals: { fileCount, totalSizeBytes }, title, document, stems };
  }
}

function titleOf({ name, tags }: DatasetTruth): WeightedText[] {
  return [name, ...tags].map((text) => ({ weight: 'A', text }));
}

function restOf({ description, metadata }: DatasetTruth, sample: VersionSample): WeightedText[] {
  return [
    { weight: 'B', text: description },
    { weight: 'B', text: sample.columns.join('\n') },
    { weight: 'C', text: metadataText(metadata) },
    { weight: 'D', text: sample.readme },
    { weight: 'C', text: sample.paths.join('\n') },
  ];
}
