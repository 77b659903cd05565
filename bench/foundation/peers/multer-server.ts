/** What most Express servers do: multer stores the file on disk, and a second pass hashes it. */
import express from 'express';
import multer from 'multer';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { listen } from './listen.js';
import { makeDurable } from './make-durable.js';

const app = express();
const uploads = multer({ storage: multer.diskStorage({ destination: process.argv[2] }) });

app.post('/', uploads.single('file'), async (req, res) => {
  if (!req.file) throw new Error('no part named file');
  const hash = createHash('sha256');
  await pipeline(createReadStream(req.file.path), hash);
  await makeDurable(req.file.path);
  res.status(201).json({ sha256: hash.digest('hex'), size: req.file.size });
});

listen(createServer(app));
