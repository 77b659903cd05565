import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { Permission } from '../core/permission.js';
import type { ApiKeyId, UserId } from '../core/ids.js';

/** A key that proves who somebody is; the secret itself is nowhere, only its hash. */
@Entity('api_keys')
export class ApiKeyEntity {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: ApiKeyId;

  @Column({ type: 'integer', name: 'user_id' })
  userId!: UserId;

  @Column({ type: 'text' })
  name!: string;

  /** The secret's first characters, by which its owner recognises it. */
  @Column({ type: 'text' })
  prefix!: string;

  /** The most that may be done with it, whatever its user may do. */
  @Column({ type: 'text' })
  scope!: Permission;

  @Column({ type: 'char', length: 64, name: 'secret_hash', select: false })
  secretHash!: string;

  @Column({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  @Column({ type: 'timestamptz', name: 'expires_at', nullable: true })
  expiresAt!: Date | null;

  /** To the minute: it is not worth a write per request. */
  @Column({ type: 'timestamptz', name: 'last_used_at', nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: 'timestamptz', name: 'revoked_at', nullable: true })
  revokedAt!: Date | null;

  @Column({ type: 'boolean', name: 'is_bootstrap' })
  isBootstrap!: boolean;
}
