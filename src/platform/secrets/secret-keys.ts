import { Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import {
  ObjectMissing,
  RECORDS,
  STORAGE_BACKEND,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { CONFIG, type Config } from '../config/config.js';
import { KEY_BYTES, SecretBox } from './secret-box.js';

/** Where the key lies that was not given: with the bytes, which all replicas share, and no database has. */
const STORED_KEY = `${RECORDS}secrets.key`;

/** Keeps the keys of the secrets in the database: those of `SECRETS_KEY`, or else one of its own. */
@Injectable()
export class SecretKeys {
  private opened: Promise<SecretBox> | null = null;

  constructor(
    @Inject(CONFIG) private readonly config: Pick<Config, 'SECRETS_KEY'>,
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  /** The key is read, or made, by who needs it first; not inside of a transaction. */
  box(): Promise<SecretBox> {
    this.opened ??= this.open().catch((error: unknown) => {
      this.opened = null;
      throw error;
    });
    return this.opened;
  }

  private async open(): Promise<SecretBox> {
    const [first, ...older] = this.config.SECRETS_KEY;
    if (first) return new SecretBox([first, ...older]);
    return new SecretBox([(await this.read()) ?? (await this.make())]);
  }

  private async read(): Promise<Buffer | null> {
    try {
      const key = Buffer.from(await text(await this.backend.open(STORED_KEY)), 'base64');
      if (key.length === KEY_BYTES) return key;
    } catch (error) {
      if (error instanceof ObjectMissing) return null;
      throw error;
    }
    throw new Error(`${STORED_KEY} in the storage holds no key: put the right one back.`);
  }

  /** Replicas that need one at the same moment wait for each other: the first one's is everybody's. */
  private make(): Promise<Buffer> {
    return this.unitOfWork.run(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('varve.secrets-key', 0))`);
      const made = await this.read();
      if (made) return made;
      const key = randomBytes(KEY_BYTES);
      const sink = await this.backend.openStaging();
      await sink.write(Buffer.from(`${key.toString('base64')}\n`));
      await this.backend.finalizeRecord(await sink.finish(), STORED_KEY);
      return key;
    });
  }
}
