import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { UserId } from '../core/ids.js';
import type { Role } from '../core/principal.js';

/** Somebody, or some program, that may come in. Never deleted: what it made names it. */
@Entity('users')
export class UserEntity {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: UserId;

  @Column({ type: 'text' })
  name!: string;

  @Column({ type: 'text' })
  role!: Role;

  @Column({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  @Column({ type: 'timestamptz', name: 'disabled_at', nullable: true })
  disabledAt!: Date | null;
}
