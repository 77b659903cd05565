/** The floor under range requests: node:http, one positional read per request, nothing else. */
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import { listen } from './listen.js';

const file = await open(process.argv[2] ?? '', 'r');
const { size } = await file.stat();

listen(
  createServer((req, res) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '') ?? [];
    const start = Number(first);
    const length = Number(last) - start + 1;
    file.read(Buffer.allocUnsafe(length), 0, length, start).then(
      ({ buffer, bytesRead }) => {
        res.writeHead(206, {
          'Content-Type': 'application/octet-stream',
          'Content-Length': bytesRead,
          'Content-Range': `bytes ${start}-${start + bytesRead - 1}/${size}`,
        });
        res.end(buffer);
      },
      (error: Error) => res.destroy(error),
    );
  }),
);
