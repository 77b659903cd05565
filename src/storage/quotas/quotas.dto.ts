import { ApiProperty } from '@nestjs/swagger';
import { IsInt, Max, Min } from 'class-validator';
import type { Quota } from './quotas.service.js';

export class SetQuotaDto {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'So many different bytes may be held. What is there already stays.',
    example: 10_737_418_240,
  })
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  limitBytes!: number;
}

export class QuotaView implements Quota {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    nullable: true,
    description: 'Null for any amount.',
    example: 10_737_418_240,
  })
  limitBytes!: number | null;

  @ApiProperty({ description: 'Whether it is the server’s, as none was set.', example: false })
  isDefault!: boolean;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    description: 'Each content counts once, however often it is held.',
    example: 1_048_576,
  })
  usedBytes!: number;
}
