import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidInput } from '../core/problems.js';
import {
  DOCUMENT_FORMAT,
  readDocument,
  type DocumentPart,
  type DocumentVersion,
} from './dataset-document.js';

const A = 'a'.repeat(64);

async function* cut(text: string, sizes: readonly number[] = []): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  let start = 0;
  for (const size of [...sizes, bytes.length]) {
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

async function read(text: string, sizes?: readonly number[]): Promise<DocumentPart[]> {
  const parts: DocumentPart[] = [];
  for await (const part of readDocument(cut(text, sizes))) parts.push(part);
  return parts;
}

const readVersion = (version: unknown): Promise<DocumentPart[]> =>
  read(JSON.stringify({ versions: [version] }));

const complaintOf = async (reading: Promise<unknown>): Promise<string> => {
  const error: unknown = await reading.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InvalidInput);
  return (error as InvalidInput).message;
};

describe('readDocument', () => {
  it('gives back what was written, wherever the bytes are cut', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 });
    const operation = fc.oneof(
      fc.record({
        path: text,
        sha256: fc.constant(A),
        metadata: fc.constantFrom({ rows: 3 }, null),
      }),
      fc.record({ path: text, removed: fc.constant(true) }),
    );
    const version = fc.record({
      number: fc.integer({ min: 1 }),
      parent: fc.option(fc.integer({ min: 1 })),
      message: text,
      operations: fc.array(operation, { maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(version, { maxLength: 5 }),
        fc.dictionary(text, fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>),
        fc.array(fc.integer({ min: 1, max: 40 })),
        fc.constantFrom(0, 2),
        async (versions, described, sizes, indent) => {
          fc.pre(!JSON.stringify(described).includes('__proto__'));
          fc.pre(!/\\u0000/.test(JSON.stringify([described, versions])));
          const dataset = JSON.parse(JSON.stringify(described)) as unknown;
          const document = { format: DOCUMENT_FORMAT, other: [[1], {}], dataset, versions };
          const parts = await read(JSON.stringify(document, null, indent), sizes);
          expect(parts).toEqual([
            { kind: 'format', value: DOCUMENT_FORMAT },
            { kind: 'dataset', value: dataset },
            ...versions.map((value) => ({
              kind: 'version',
              value: {
                ...value,
                operations: value.operations.map((change) => ({
                  path: change.path,
                  sha256: 'sha256' in change ? change.sha256 : null,
                  metadata: 'sha256' in change ? change.metadata : null,
                })),
              },
            })),
          ]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('passes over members that it does not know, as a later release may write them', async () => {
    const [version] = await readVersion({
      number: 1,
      notes: [{ operations: [1] }],
      operations: [{ path: 'a', sha256: A, sizeBytes: 3, colour: 'red' }],
    });
    expect((version?.value as DocumentVersion).operations).toEqual([
      { path: 'a', sha256: A, metadata: null },
    ]);
  });

  it('takes a version without operations, a parent or a message', async () => {
    expect(await readVersion({ number: 1 })).toEqual([
      { kind: 'version', value: { number: 1, parent: null, message: '', operations: [] } },
    ]);
  });

  it.each([
    ['nothing that has a number', {}, 'versions.0.number'],
    ['a number below 1', { number: 0 }, 'versions.0.number'],
    ['a parent that is text', { number: 2, parent: '1' }, 'versions.0.parent'],
    ['a message that is a number', { number: 1, message: 7 }, 'versions.0.message'],
    ['NUL in the message', { number: 1, message: '\0' }, 'versions.0.message'],
    ['an operation that is null', { number: 1, operations: [null] }, 'versions.0.operations.0'],
    ['an operation without a path', { number: 1, operations: [{ sha256: A }] }, 'path'],
    ['an operation without content', { number: 1, operations: [{ path: 'a' }] }, 'sha256'],
    [
      'a digest in capitals',
      { number: 1, operations: [{ path: 'a', sha256: 'A'.repeat(64) }] },
      'versions.0.operations.0.sha256',
    ],
    [
      'metadata that is a list',
      { number: 1, operations: [{ path: 'a', sha256: A, metadata: [] }] },
      'metadata',
    ],
    [
      'NUL in a path',
      {
        number: 1,
        operations: [
          { path: 'x', removed: true },
          { path: 'a\0', removed: true },
        ],
      },
      'versions.0.operations.1',
    ],
  ])('refuses %s, and says where', async (_, version, place) => {
    expect(await complaintOf(readVersion(version))).toContain(place);
  });

  it.each([
    ['nothing after an opening brace', '{'],
    ['a document that ends in the middle', '{"format":"varve-dataset/1","versions":[{"number":1'],
    ['two documents', '{} {}'],
    ['a missing comma', '{"format":"x" "dataset":{}}'],
    ['text that is no JSON', 'format: varve'],
    ['a comment', '{} // done'],
  ])('refuses %s', async (_, text) => {
    expect(await complaintOf(read(text))).toContain('is not JSON');
  });

  it('reads nothing out of an empty body or a document that is a list', async () => {
    expect(await read('')).toEqual([]);
    expect(await read('[{"format":1}]')).toEqual([]);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const source = (async function* () {
      yield Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    })();
    await expect(readDocument(source).next()).rejects.toThrow('not UTF-8');
  });

  it('refuses half of a character at the end', async () => {
    const source = (async function* () {
      yield Buffer.from([0x7b, 0x7d, 0xc3]);
    })();
    await expect(
      (async () => {
        for await (const part of readDocument(source)) expect(part).toBeUndefined();
      })(),
    ).rejects.toThrow('not UTF-8');
  });

  it('refuses integers that would be rounded, and takes those that JSON writers make of doubles', async () => {
    expect(await complaintOf(read('{"dataset":{"n":9007199254740993}}'))).toContain('2^53');
    const [part] = await read(
      '{"dataset":{"n":1152921504606847000,"m":1e300,"k":-9007199254740991}}',
    );
    expect(part?.value).toEqual({ n: 2 ** 60, m: 1e300, k: -9007199254740991 });
  });

  it('refuses nesting without end, and a member that tampers with objects', async () => {
    const deep = `{"dataset":${'['.repeat(1000)}${']'.repeat(1000)}}`;
    expect(await complaintOf(read(deep))).toContain('nest');
    expect(await complaintOf(read('{"dataset":{"__proto__":{"a":1}}}'))).toContain('__proto__');
  });

  it('refuses a single value that would fill the memory', async () => {
    const long = 'x'.repeat(1024);
    const many = JSON.stringify(Array.from({ length: 2000 }, () => long));
    expect(await complaintOf(read(`{"dataset":{"a":${many}}}`))).toContain('dataset');
    const operation = `{"path":"a","sha256":"${A}","metadata":{"a":${many}}}`;
    expect(
      await complaintOf(read(`{"versions":[{"number":1,"operations":[${operation}]}]}`)),
    ).toContain('versions');
  });

  it('gives the versions of a long history one after another', async () => {
    const version = (number: number): string =>
      JSON.stringify({ number, operations: [{ path: `${number}`, sha256: A }] });
    async function* history(): AsyncGenerator<Buffer> {
      yield Buffer.from('{"versions":[');
      for (let number = 1; number <= 3000; number += 1) {
        yield Buffer.from(`${number === 1 ? '' : ','}${version(number)}`);
      }
      yield Buffer.from(']}');
    }
    let seen = 0;
    for await (const part of readDocument(history())) {
      seen += 1;
      expect((part.value as DocumentVersion).number).toBe(seen);
      expect((part.value as DocumentVersion).operations).toHaveLength(1);
    }
    expect(seen).toBe(3000);
  });
});
