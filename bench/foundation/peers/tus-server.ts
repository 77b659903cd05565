/** The reference server of the tus protocol, with its store on local disk. */
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import { createServer } from 'node:http';
import path from 'node:path';
import { listen } from './listen.js';
import { makeDurable } from './make-durable.js';

const directory = process.argv[2] ?? '.';

const tus = new Server({
  path: '/files',
  datastore: new FileStore({ directory }),
  async onUploadFinish(_req, upload) {
    await makeDurable(path.join(directory, upload.id));
    return {};
  },
});

listen(createServer((req, res) => void tus.handle(req, res)));
