import { ApiProperty } from '@nestjs/swagger';
import { IsString, Length, MaxLength } from 'class-validator';
import { MAX_NAME } from '../users.dto.js';
import type { TokenPair } from './sessions.js';

const MIN_PASSWORD = 12;
const MAX_PASSWORD = 200;
const PASSWORD = {
  minLength: MIN_PASSWORD,
  maxLength: MAX_PASSWORD,
  writeOnly: true,
  example: 'correct horse battery staple',
};

export class LoginDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_NAME, example: 'ada' })
  @IsString()
  @Length(1, MAX_NAME)
  name!: string;

  @ApiProperty({ ...PASSWORD, minLength: 1 })
  @IsString()
  @Length(1, MAX_PASSWORD)
  password!: string;
}

export class RefreshDto {
  @ApiProperty({ maxLength: 200, writeOnly: true, example: 'varve_session_q7FvJ2kXw0bT4mZc9RrLh1' })
  @IsString()
  @MaxLength(200)
  refreshToken!: string;
}

export class PasswordDto {
  @ApiProperty({ ...PASSWORD, description: 'Any characters; length is what counts.' })
  @IsString()
  @Length(MIN_PASSWORD, MAX_PASSWORD)
  password!: string;
}

export class ChangePasswordDto extends PasswordDto {
  @ApiProperty({ ...PASSWORD, minLength: 1, description: 'The one that you have now.' })
  @IsString()
  @Length(1, MAX_PASSWORD)
  currentPassword!: string;
}

export class TokenPairView {
  @ApiProperty({
    description: 'Sent as `Authorization: Bearer …`.',
    example: 'varve_session_q7FvJ2kXw0bT4mZc9RrLh1',
  })
  accessToken!: string;

  @ApiProperty({ type: 'integer', description: 'In seconds.', example: 900 })
  expiresIn!: number;

  @ApiProperty({
    description: 'Gives the next pair, once. One that comes a second time ends the session.',
    example: 'varve_session_Xw0bT4mZc9RrLh1uYd8sNp',
  })
  refreshToken!: string;

  @ApiProperty({ type: 'integer', description: 'In seconds.', example: 2_592_000 })
  refreshExpiresIn!: number;

  static of(this: void, pair: TokenPair): TokenPairView {
    return {
      accessToken: pair.accessToken,
      expiresIn: Math.floor(pair.accessTtlMs / 1000),
      refreshToken: pair.refreshToken,
      refreshExpiresIn: Math.floor(pair.refreshTtlMs / 1000),
    };
  }
}
