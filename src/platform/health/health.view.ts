import { ApiProperty } from '@nestjs/swagger';

/** Whether one thing that the server needs is well. */
export class HealthCheckView {
  @ApiProperty({ example: 'database' })
  name!: string;

  @ApiProperty({
    enum: ['ok', 'degraded', 'failing'],
    description: 'Degraded is what the server can do its work without, for a while.',
    example: 'ok',
  })
  status!: 'ok' | 'degraded' | 'failing';

  @ApiProperty({ description: 'Why it is so.', example: 'answers queries' })
  reason!: string;
}

export class HealthView {
  @ApiProperty({ enum: ['ok', 'degraded', 'failing'], example: 'ok' })
  status!: 'ok' | 'degraded' | 'failing';

  @ApiProperty({ type: [HealthCheckView] })
  checks!: HealthCheckView[];
}
