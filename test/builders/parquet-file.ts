import { crc32 } from 'node:zlib';

/** A page of whole numbers; what it says of itself may be a lie. */
export interface PageMade {
  readonly values: readonly number[];
  /** How many values it says to have. */
  readonly claims?: number;
  readonly checksum?: 'right' | 'wrong';
  /** In place of the values: the bytes of its body. */
  readonly body?: Buffer;
}

export interface ColumnMade {
  readonly name: string;
  readonly pages: readonly PageMade[];
  readonly claims?: number;
  readonly bounds?: readonly [min: number, max: number];
  /** Without it every row has a value. */
  readonly nullable?: boolean;
}

export interface GroupMade {
  readonly rows: number;
  readonly columns: readonly ColumnMade[];
}

/** One field of a struct of Thrift's compact protocol, by its number. */
type Field = readonly [
  id: number,
  kind: 'i32' | 'i64' | 'text' | 'bytes' | 'struct' | 'list',
  value: unknown,
];

const KINDS = { i32: 5, i64: 6, text: 8, bytes: 8, list: 9, struct: 12 } as const;
const MAGIC = Buffer.from('PAR1');

/**
 * A Parquet file of 32-bit whole numbers in plain pages without compression, written by hand: no writer
 * makes files that lie.
 * @param rows how many rows it says to have in all
 */
export function parquetFile(groups: readonly GroupMade[], rows?: number): Buffer {
  const parts: Buffer[] = [MAGIC];
  let at = MAGIC.length;
  const add = (part: Buffer) => {
    parts.push(part);
    at += part.length;
  };
  const written = groups.map((group) => ({
    ...group,
    chunks: group.columns.map((column) => {
      const offset = at;
      for (const page of column.pages) pageOf(page).forEach(add);
      return chunkOf(column, offset, at - offset);
    }),
  }));
  const columns = groups[0]?.columns ?? [];
  const footer = struct([
    [1, 'i32', 1],
    [
      2,
      'list',
      [
        [
          [4, 'text', 'r'],
          [5, 'i32', columns.length],
        ],
        ...columns.map(({ name, nullable }) => [
          [1, 'i32', 1],
          [3, 'i32', nullable ? 1 : 0],
          [4, 'text', name],
        ]),
      ],
    ],
    [3, 'i64', rows ?? groups.reduce((sum, group) => sum + group.rows, 0)],
    [
      4,
      'list',
      written.map(({ chunks, rows: inGroup }) => [
        [1, 'list', chunks],
        [2, 'i64', 0],
        [3, 'i64', inGroup],
      ]),
    ],
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([...parts, footer, length, MAGIC]);
}

function pageOf({ values, claims, checksum, body }: PageMade): [Buffer, Buffer] {
  const bytes = body ?? Buffer.from(Int32Array.from(values).buffer);
  const sum = (crc32(bytes) ^ (checksum === 'wrong' ? 1 : 0)) | 0;
  const header = struct([
    [1, 'i32', 0],
    [2, 'i32', bytes.length],
    [3, 'i32', bytes.length],
    ...(checksum ? [[4, 'i32', sum] as Field] : []),
    [
      5,
      'struct',
      [
        [1, 'i32', claims ?? values.length],
        [2, 'i32', 0],
        [3, 'i32', 3],
        [4, 'i32', 3],
      ],
    ],
  ]);
  return [header, bytes];
}

function chunkOf(
  { name, pages, claims, bounds }: ColumnMade,
  offset: number,
  size: number,
): Field[] {
  const values = claims ?? pages.reduce((sum, page) => sum + page.values.length, 0);
  const bound = (value: number) => Buffer.from(Int32Array.of(value).buffer);
  const metadata: Field[] = [
    [1, 'i32', 1],
    [2, 'list', [0, 3]],
    [3, 'list', [name]],
    [4, 'i32', 0],
    [5, 'i64', values],
    [6, 'i64', size],
    [7, 'i64', size],
    [9, 'i64', offset],
    ...(bounds
      ? [
          [
            12,
            'struct',
            [
              [5, 'bytes', bound(bounds[1])],
              [6, 'bytes', bound(bounds[0])],
            ],
          ] as Field,
        ]
      : []),
  ];
  return [
    [2, 'i64', offset],
    [3, 'struct', metadata],
  ];
}

function struct(fields: readonly Field[]): Buffer {
  let last = 0;
  const parts = fields.flatMap(([id, kind, value]) => {
    const head = Buffer.from([((id - last) << 4) | KINDS[kind]]);
    last = id;
    return [head, valueOf(kind, value)];
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function valueOf(kind: Field[1], value: unknown): Buffer {
  if (kind === 'i32' || kind === 'i64') return varint(zigzag(value as number));
  if (kind === 'struct') return struct(value as Field[]);
  if (kind === 'list') return list(value as unknown[]);
  const bytes = Buffer.from(value as string | Buffer);
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

function list(items: readonly unknown[]): Buffer {
  const [first] = items;
  const kind = typeof first === 'number' ? 'i32' : typeof first === 'string' ? 'text' : 'struct';
  const parts = items.map((item) => valueOf(kind, item));
  const head =
    items.length < 15
      ? Buffer.from([(items.length << 4) | KINDS[kind]])
      : Buffer.concat([Buffer.from([0xf0 | KINDS[kind]]), varint(BigInt(items.length))]);
  return Buffer.concat([head, ...parts]);
}

const zigzag = (value: number): bigint =>
  value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n;

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return Buffer.from([...bytes, Number(left)]);
}
