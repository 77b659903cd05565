import type { Type } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import type { JsonValue } from '../../core/json.js';
import { InvalidInput } from '../../core/problems.js';

export const MAX_PAGE = 1000;
export const DEFAULT_PAGE = 100;

/** Reads a query parameter as a whole number; anything else stays as it is, for validation to refuse. */
export function toWholeNumber({ value }: { value: unknown }): unknown {
  return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
}

/** The part of a list's query that asks for one page of it. */
export class PageQuery {
  @ApiPropertyOptional({
    description: 'How many items a page holds at the most.',
    type: 'integer',
    minimum: 1,
    maximum: MAX_PAGE,
    default: DEFAULT_PAGE,
  })
  @IsOptional()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_PAGE)
  limit: number = DEFAULT_PAGE;

  @ApiPropertyOptional({
    description: '`nextCursor` of the page before. Opaque: send back what you were given.',
    type: 'string',
    maxLength: 8192,
  })
  @IsOptional()
  @IsString()
  @MaxLength(8192)
  cursor?: string;
}

/** One page of a list, and the cursor of the next; null at the end. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** The schema of a page whose items are of a view class. */
export function pageOf<T>(item: Type<T>): Type<Page<T>> {
  class PageView implements Page<T> {
    @ApiProperty({ type: [item] })
    items!: T[];

    @ApiProperty({
      type: String,
      nullable: true,
      description: 'Sent as `cursor` it asks for the next page; null at the end of the list.',
      example: null,
    })
    nextCursor!: string | null;
  }
  Object.defineProperty(PageView, 'name', { value: `${item.name.replace(/View$/, '')}Page` });
  return PageView;
}

/**
 * Makes a page of rows that were read with one more than its limit, to know whether more follow.
 * @param cursorOf what the next page starts after, from the last row of this one
 */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (last: Row) => JsonValue,
  toItem: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(cursorOf(last)) : null,
  };
}

/** Packs what the next page starts after. A cursor grants nothing: every page is authorised anew. */
export function encodeCursor(value: JsonValue): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

/**
 * Unpacks a cursor; `accepts` decides whether what it holds can be of this list.
 * @throws InvalidInput for one that no page of this list has given out
 */
export function decodeCursor<T extends JsonValue>(
  cursor: string,
  accepts: (value: unknown) => value is T,
): T {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(cursor, 'base64url'));
    const value: unknown = JSON.parse(text);
    if (encodeCursor(value as JsonValue) === cursor && accepts(value)) return value;
  } catch {
    // Falls through to the one answer for everything that is no cursor.
  }
  throw new InvalidInput('cursor is none that this list has given out; start without one.', [
    { at: 'cursor', message: 'is not a cursor of this list' },
  ]);
}
