import { Inject, Injectable, Logger } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import {
  ObjectMissing,
  RECORDS,
  STORAGE_BACKEND,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { Unavailable } from '../../core/problems.js';
import { CONFIG, type Config } from '../config/config.js';
import { KEY_BYTES, SecretBox } from './secret-box.js';

/** When to ask again for a key that somebody has to put back. */
const RESTORED_SECONDS = 60;

/** Keeps the keys of the secrets in the database: those of `SECRETS_KEY`, or else one of its own. */
@Injectable()
export class SecretKeys {
  private readonly logger = new Logger(SecretKeys.name);
  private opened: Promise<SecretBox> | null = null;

  constructor(
    @Inject(CONFIG) private readonly config: Pick<Config, 'SECRETS_KEY'>,
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * The key is read, or made, by who needs it first; not inside of a transaction.
   * @throws Unavailable where it is damaged
   */
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
    const at = await this.place();
    return new SecretBox([(await this.read(at)) ?? (await this.make(at))]);
  }

  /** Among what this database has in the storage: all replicas share it, and no copy of the database has it. */
  private async place(): Promise<string> {
    const [origin] = await this.unitOfWork.read((tx) =>
      tx.query<{ id: string }>('SELECT id FROM record_origin'),
    );
    if (!origin) throw new Error('The database has no origin.');
    return `${RECORDS}${origin.id}/secrets.key`;
  }

  private async read(at: string): Promise<Buffer | null> {
    try {
      const key = Buffer.from(await text(await this.backend.open(at)), 'base64');
      if (key.length === KEY_BYTES) return key;
    } catch (error) {
      if (error instanceof ObjectMissing) return null;
      throw error;
    }
    this.logger.error(`${at} in the storage holds no key: put it back from a backup`);
    throw new Unavailable('The key that secrets are sealed with is damaged.', RESTORED_SECONDS);
  }

  /** Replicas that need one at the same moment wait for each other: the first one's is everybody's. */
  private make(at: string): Promise<Buffer> {
    return this.unitOfWork.run(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('varve.secrets-key', 0))`);
      const made = await this.read(at);
      if (made) return made;
      const key = randomBytes(KEY_BYTES);
      const sink = await this.backend.openStaging();
      await sink.write(Buffer.from(`${key.toString('base64')}\n`));
      await this.backend.finalizeRecord(await sink.finish(), at);
      return key;
    });
  }
}
