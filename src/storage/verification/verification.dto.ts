import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsOptional } from 'class-validator';

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
