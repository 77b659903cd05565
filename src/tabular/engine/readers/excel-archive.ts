import { stat } from 'node:fs/promises';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { TableProblem } from '../table-problem.js';

const MAX_PARTS = 10_000;
/** Of all parts together, once they are inflated: what the reader's memory holds. */
const MAX_INFLATED_BYTES = 192 * 1024 * 1024;
/** XML compresses well, but no sheet that people made does so a thousandfold. */
const MAX_RATIO = 500;
const SMALL_BYTES = 1024 * 1024;

/** How much of a part is looked at: declarations stand before its first element. */
const PROLOGUE_BYTES = 4096;

/**
 * Looks a workbook over before anything of it is parsed: that its parts inflate to what they say and to
 * no more than fits, and that none declares entities, which is how XML is made to grow or to read files.
 * @throws TableProblem
 */
export async function checkWorkbook(path: string, maximumBytes: number): Promise<void> {
  const { size } = await stat(path);
  if (size > maximumBytes) {
    throw new TableProblem(
      'too-large',
      `The workbook has ${size} bytes; ${maximumBytes} can be read.`,
    );
  }
  let zip: ZipFile;
  try {
    // Sizes are validated while a part is read: one that inflates to more than it says is an error.
    zip = await openPromise(path, { lazyEntries: true, validateEntrySizes: true });
  } catch (error) {
    throw asZipProblem(error);
  }
  let inflated = 0;
  let parts = 0;
  try {
    for await (const entry of zip.eachEntry()) {
      parts += 1;
      inflated += entry.uncompressedSize;
      checkSizes(entry, parts, inflated);
      if (/\.(xml|rels)$/i.test(entry.fileName)) await checkPart(zip, entry);
    }
  } catch (error) {
    throw asZipProblem(error);
  } finally {
    zip.close();
  }
}

function checkSizes(entry: Entry, parts: number, inflated: number): void {
  const { uncompressedSize, compressedSize } = entry;
  if (parts > MAX_PARTS) {
    throw new TableProblem('too-large', `The workbook has more than ${MAX_PARTS} parts.`);
  }
  const bomb = uncompressedSize > SMALL_BYTES && uncompressedSize > compressedSize * MAX_RATIO;
  if (bomb || inflated > MAX_INFLATED_BYTES) {
    throw new TableProblem(
      'too-large',
      `The workbook inflates to more than can be read (${MAX_INFLATED_BYTES} bytes, ${MAX_RATIO} times its size).`,
    );
  }
}

async function checkPart(zip: ZipFile, entry: Entry): Promise<void> {
  const stream = await zip.openReadStreamPromise(entry);
  let prologue = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (prologue.length < PROLOGUE_BYTES) prologue += chunk.toString('latin1');
  }
  if (/<!(DOCTYPE|ENTITY)/i.test(prologue.replaceAll('\0', ''))) {
    throw new TableProblem(
      'malformed',
      'A part of the workbook declares entities, which no workbook does.',
    );
  }
}

function asZipProblem(error: unknown): unknown {
  if (error instanceof TableProblem) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/encrypted/i.test(message)) return new TableProblem('encrypted', 'It is encrypted.');
  if (/end of central directory|unexpected EOF/i.test(message)) {
    return new TableProblem('truncated', 'The workbook is no whole zip archive.');
  }
  return new TableProblem('malformed', `The workbook is no sound zip archive: ${message}`);
}
