import { ApiProperty } from '@nestjs/swagger';

/** Whether one thing that the server needs is well. */
export class HealthCheckView {
  @ApiProperty({ example: 'database' })
  name!: string;

  @ApiProperty({ enum: ['ok', 'failing'], example: 'ok' })
  status!: 'ok' | 'failing';

  @ApiProperty({ description: 'Why it is so.', example: 'answers queries' })
  reason!: string;
}

export class HealthView {
  @ApiProperty({ enum: ['ok', 'failing'], example: 'ok' })
  status!: 'ok' | 'failing';

  @ApiProperty({ type: [HealthCheckView] })
  checks!: HealthCheckView[];
}
