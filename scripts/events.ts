import { EventSourceParserStream } from 'eventsource-parser/stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, styleText } from 'node:util';

const USAGE = `npm run events -- tail [pattern] [--url http://127.0.0.1:3000] [--after cursor]

  Prints what happens, as it happens: a line for each event, with colours on a terminal, and
  NDJSON in a pipe. The pattern is a type, or one with wildcards: dataset.* or dataset.**.
  VARVE_KEY holds the API key; VARVE_URL the address, unless --url does.`;
const RETRY_MS = 2_000;

interface Told {
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data: unknown;
}

/** What there is no use in trying again. */
class Refused extends Error {}

/** Whether people read it: on a terminal, or where they say so (https://force-color.org). */
const asPeople = process.stdout.isTTY || !['', '0', undefined].includes(process.env['FORCE_COLOR']);
/** Some would rather have none (https://no-color.org). */
const hasColours = (process.env['NO_COLOR'] ?? '') === '';

function coloured(colour: 'gray' | 'cyan' | 'yellow', text: string): string {
  return hasColours ? styleText(colour, text, { validateStream: false }) : text;
}

function print(text: string): void {
  if (!asPeople) {
    process.stdout.write(`${text}\n`);
    return;
  }
  const { type, subject, time, data } = JSON.parse(text) as Told;
  const words = [
    coloured('gray', time.slice(0, 19).replace('T', ' ')),
    coloured('cyan', type),
    coloured('yellow', subject),
    JSON.stringify(data),
  ];
  process.stdout.write(`${words.join('  ')}\n`);
}

/** Follows one connection to its end, and gives the cursor to go on after. */
async function follow(url: URL, key: string, after: string | null): Promise<string | null> {
  const answer = await fetch(url, {
    headers: { Authorization: `Bearer ${key}`, ...(after !== null && { 'Last-Event-ID': after }) },
  });
  if (!answer.ok || !answer.body) {
    const text = `The server answered ${answer.status}: ${await answer.text()}`;
    throw answer.status < 500 ? new Refused(text) : new Error(text);
  }
  let cursor = after;
  try {
    const messages = answer.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const { id, event, data } of messages) {
      if (event === 'end') throw new Error(`The server ended the stream: ${data}`);
      print(data);
      cursor = id ?? cursor;
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}; going on shortly.\n`);
  }
  return cursor;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { url: { type: 'string' }, after: { type: 'string' } },
});
const [verb, pattern = '**', ...rest] = positionals;
const key = process.env['VARVE_KEY'];
if (verb !== 'tail' || rest.length > 0 || !key) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}
// A reader that closes the pipe, such as head, has had enough.
process.stdout.on('error', () => process.exit(0));
const base = values.url ?? process.env['VARVE_URL'] ?? 'http://127.0.0.1:3000';
const url = new URL(`/api/v1/events/stream?type=${encodeURIComponent(pattern)}`, base);
for (let after = values.after ?? null; ; await sleep(RETRY_MS)) {
  try {
    after = await follow(url, key, after);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    if (error instanceof Refused) process.exit(1);
  }
}
