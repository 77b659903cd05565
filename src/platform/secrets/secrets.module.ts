import { Module } from '@nestjs/common';
import { SecretKeys } from './secret-keys.js';

/** Secrets that are used again, sealed wherever they are kept. */
@Module({ providers: [SecretKeys], exports: [SecretKeys] })
export class SecretsModule {}
