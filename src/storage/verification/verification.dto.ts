import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsInt, IsOptional, Max, Min } from 'class-validator';
import { MAX_ID } from '../../core/ids.js';
import { toWholeNumber } from '../../platform/http/paging.js';

export class VerificationQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: 'The dataset whose history is proved against its digests.',
    example: 12,
  })
  @IsOptional()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  dataset?: number;
}

export class StartVerificationDto {
  @ApiPropertyOptional({
    description: 'Whether bytes are read and hashed, or only looked for and measured.',
    default: true,
    example: true,
  })
  @IsOptional()
  @IsBoolean()
  hash: boolean = true;
}
