import { Tokenizer, TokenParser, TokenType } from '@streamparser/json';
import { isSha256, type Sha256 } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import { InvalidInput } from '../core/problems.js';
import { checkInput } from '../platform/http/input-rules.js';
import { messageComplaint } from './dataset-rules.js';

/** What an exported document says it is; the number grows when a reader has to know of a change. */
export const DOCUMENT_FORMAT = 'varve-dataset/1';

/** A change as a document has it: content put under a path, or the path removed. */
export interface DocumentOperation {
  readonly path: string;
  /** Null for a removal. */
  readonly sha256: Sha256 | null;
  readonly metadata: JsonObject | null;
}

export interface DocumentVersion {
  readonly number: number;
  readonly parent: number | null;
  readonly message: string;
  readonly operations: readonly DocumentOperation[];
}

/** What a document is made of, in the order in which it is read. */
export type DocumentPart =
  | { readonly kind: 'format'; readonly value: unknown }
  | { readonly kind: 'dataset'; readonly value: unknown }
  | { readonly kind: 'version'; readonly value: DocumentVersion };

/** The most changes that one version may bring: they are held in memory, everything else is not. */
export const MAX_OPERATIONS = 2_000_000;

/** The largest single value (a dataset's description, one change) in bytes of JSON. */
const MAX_VALUE_BYTES = 1024 * 1024;

/**
 * Reads an exported document as it streams in. Only one version is held at a time; members that
 * it does not know are passed over.
 * @throws InvalidInput for what is no JSON or breaks the document's form, naming the place
 */
export async function* readDocument(source: AsyncIterable<Buffer>): AsyncGenerator<DocumentPart> {
  const reader = new DocumentReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const chunk of source) {
    reader.write(decode(decoder, chunk));
    yield* reader.take();
  }
  reader.write(decode(decoder));
  reader.end();
  yield* reader.take();
}

function decode(decoder: InstanceType<typeof TextDecoder>, chunk?: Buffer): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch {
    throw new InvalidInput('The document is not UTF-8.');
  }
}

/** Refuses whole numbers that a double rounds, unless they are how a double itself is written. */
class ExactTokenizer extends Tokenizer {
  protected override parseNumber(text: string): number {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && !Number.isSafeInteger(value) && String(value) !== text) {
      throw new InvalidInput(
        `${text} is too large to be kept exactly (beyond 2^53); make it a string.`,
      );
    }
    return value;
  }
}

/** The version that is being read. */
interface OpenVersion {
  number: unknown;
  parent: unknown;
  message: unknown;
  operations: DocumentOperation[];
}

const openVersion = (): OpenVersion => ({
  number: undefined,
  parent: null,
  message: '',
  operations: [],
});

class DocumentReader {
  readonly #tokenizer = new ExactTokenizer();
  // What is not listed is dropped as soon as it is complete, so nothing piles up.
  readonly #values = new TokenParser({
    keepStack: false,
    paths: [
      '$.format',
      '$.dataset',
      '$.versions.*.number',
      '$.versions.*.parent',
      '$.versions.*.message',
      '$.versions.*.operations.*',
    ],
  });
  #read: DocumentPart[] = [];
  #version = openVersion();
  #versionsRead = 0;
  #depth = 0;
  #lastText = '';
  /** The top-level member that is being read. */
  #member = '';
  #valueBegan = 0;

  constructor() {
    this.#tokenizer.onToken = ({ token, value, offset }) => {
      this.#follow(token, value, offset);
      this.#values.write({ token, value });
    };
    this.#values.onValue = ({ value, stack, key }) => this.#take(stack.length, String(key), value);
    this.#values.onEnd = () => {
      if (!this.#tokenizer.isEnded) this.#tokenizer.end();
    };
  }

  write(text: string): void {
    try {
      this.#tokenizer.write(text);
    } catch (error) {
      throw asInvalid(error);
    }
  }

  end(): void {
    try {
      if (!this.#tokenizer.isEnded) this.#tokenizer.end();
      if (!this.#values.isEnded) this.#values.end();
    } catch (error) {
      throw asInvalid(error);
    }
  }

  /** What has been read since it was last asked. */
  take(): DocumentPart[] {
    return this.#read.splice(0);
  }

  /** Keeps to where the tokens are, as far as the end of a version can only be told from there. */
  #follow(token: TokenType, value: unknown, offset: number): void {
    if (token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET) {
      this.#depth += 1;
    } else if (token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET) {
      this.#depth -= 1;
      if (this.#depth === 2 && this.#member === 'versions') this.#endVersion();
    } else if (token === TokenType.STRING) {
      this.#lastText = String(value);
    } else if (token === TokenType.COLON && this.#depth === 1) {
      this.#member = this.#lastText;
      this.#valueBegan = offset;
    }
    const mayGrow = this.#member === 'versions' && this.#depth <= 4;
    if (mayGrow) this.#valueBegan = offset;
    else if (offset - this.#valueBegan > MAX_VALUE_BYTES) {
      throw new InvalidInput(
        `${this.#member} holds a value of more than ${MAX_VALUE_BYTES} bytes of JSON.`,
      );
    }
  }

  /** Takes a value of one of the listed paths, whose depth and last name tell them apart. */
  #take(depth: number, name: string, value: unknown): void {
    if (depth === 1) {
      checkInput(value, name);
      this.#read.push({ kind: name as 'format' | 'dataset', value });
    } else if (depth === 3) {
      this.#version[name as 'number' | 'parent' | 'message'] = value;
    } else {
      const { operations } = this.#version;
      const at = `versions.${this.#versionsRead}.operations.${operations.length}`;
      if (operations.length >= MAX_OPERATIONS) {
        refuse(at, `is one too many: a version changes ${MAX_OPERATIONS} paths at the most`);
      }
      operations.push(toOperation(value, at));
    }
  }

  #endVersion(): void {
    const { number, parent, message, operations } = this.#version;
    const at = `versions.${this.#versionsRead}`;
    if (!isPositiveInteger(number)) refuse(`${at}.number`, 'takes a whole number from 1');
    if (parent !== null && !isPositiveInteger(parent)) {
      refuse(`${at}.parent`, 'takes the number of a version, or null');
    }
    if (!isMessage(message)) {
      refuse(`${at}.message`, messageComplaint(message) ?? '');
    }
    this.#read.push({ kind: 'version', value: { number, parent, message, operations } });
    this.#version = openVersion();
    this.#versionsRead += 1;
  }
}

const isMessage = (value: unknown): value is string => messageComplaint(value) === null;

const isPositiveInteger = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 1;

function toOperation(value: unknown, at: string): DocumentOperation {
  checkInput(value, at);
  if (typeof value !== 'object' || value === null) return refuse(at, 'takes a change');
  const { path, sha256, removed, metadata } = value as Record<string, unknown>;
  if (typeof path !== 'string') return refuse(`${at}.path`, 'takes text');
  if (removed === true) return { path, sha256: null, metadata: null };
  if (typeof sha256 !== 'string' || !isSha256(sha256)) {
    return refuse(`${at}.sha256`, 'takes 64 lower-case hexadecimal digits, unless removed is true');
  }
  if (metadata === undefined || metadata === null) return { path, sha256, metadata: null };
  if (typeof metadata !== 'object' || Array.isArray(metadata)) {
    return refuse(`${at}.metadata`, 'takes a JSON object');
  }
  return { path, sha256, metadata: metadata as JsonObject };
}

function refuse(at: string, message: string): never {
  throw new InvalidInput(`${at} ${message}.`, [{ at, message }]);
}

function asInvalid(error: unknown): InvalidInput {
  if (error instanceof InvalidInput) return error;
  return new InvalidInput(`The document is not JSON: ${(error as Error).message}`);
}
