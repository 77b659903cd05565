import { ApiProperty } from '@nestjs/swagger';
import type { JobId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';

export const JOB_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled'] as const;

export type JobState = (typeof JOB_STATES)[number];

/** A row of `jobs`, as far as it is told. */
export interface JobRow {
  readonly id: JobId;
  readonly seq: number;
  readonly kind: string;
  readonly state: JobState;
  readonly progress_percent: number;
  readonly progress_message: string;
  readonly attempts: number;
  readonly result: JsonObject | null;
  readonly error: string | null;
  readonly created_by: number | null;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
}

export class JobProgressView {
  @ApiProperty({ type: 'integer', minimum: 0, maximum: 100, example: 40 })
  percent!: number;

  @ApiProperty({ example: 'Reading part 4 of 10' })
  message!: string;
}

export class JobView {
  @ApiProperty({ format: 'uuid', example: '5b0e7a0e-9a1c-4c0e-8a57-0d2f6f7d1c7e' })
  id!: string;

  @ApiProperty({ description: 'What the job does.', example: 'storage.collect-garbage' })
  kind!: string;

  @ApiProperty({
    enum: JOB_STATES,
    description: '`queued` also while it waits to be tried again.',
    example: 'running',
  })
  state!: JobState;

  @ApiProperty({ type: JobProgressView })
  progress!: JobProgressView;

  @ApiProperty({ type: 'integer', description: 'How often it was begun.', example: 1 })
  attempts!: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'What it has to tell; null until it is completed.',
    example: null,
  })
  result!: JsonObject | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Why the last attempt failed.',
    example: null,
  })
  error!: string | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Whose job it is; null for the server’s own.',
    example: 2,
  })
  createdBy!: number | null;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  startedAt!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  finishedAt!: string | null;

  static of(this: void, row: JobRow): JobView {
    return {
      id: row.id,
      kind: row.kind,
      state: row.state,
      progress: { percent: row.progress_percent, message: row.progress_message },
      attempts: row.attempts,
      result: row.result,
      error: row.error,
      createdBy: row.created_by,
      createdAt: row.created_at.toISOString(),
      startedAt: row.started_at?.toISOString() ?? null,
      finishedAt: row.finished_at?.toISOString() ?? null,
    };
  }
}
