import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

/** One place in the input that breaks a rule. */
export class InputErrorView {
  @ApiProperty({ description: 'Where in the input.', example: 'operations.3.path' })
  at!: string;

  @ApiProperty({ description: 'What is wrong there.', example: 'must not be empty' })
  message!: string;
}

/** Problem details (RFC 9457). A kind of problem may have members of its own besides these. */
export class ProblemView {
  @ApiProperty({
    description: 'Identifies the kind of problem; stable.',
    example: 'urn:varve:problem:not-found',
  })
  type!: string;

  @ApiProperty({ description: 'The same for every occurrence of the kind.', example: 'Not found' })
  title!: string;

  @ApiProperty({ type: 'integer', minimum: 400, maximum: 599, example: 404 })
  status!: number;

  @ApiProperty({
    description: 'What happened here, and what to do about it.',
    example: 'Dataset 12 does not exist or is not yours to see.',
  })
  detail!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Finds the request in the server’s log.',
    example: '0b5b2f0e-6f0c-4c0e-9a57-6a2f6f7d1c7e',
  })
  requestId!: string | null;

  @ApiPropertyOptional({
    type: [InputErrorView],
    description: 'Each place in the input that breaks a rule.',
  })
  errors?: InputErrorView[];
}
