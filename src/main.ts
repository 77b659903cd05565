import { runProcess } from './run-process.js';
import { createServer } from './server.js';
import { TableWorkers } from './tabular/table-workers.js';

await runProcess(
  {
    name: 'Varve',
    createApp: createServer,
    whenServing: (app, log) => {
      app
        .get(TableWorkers, { strict: false })
        .warm()
        .catch((error: unknown) => log.warn(error, 'No table worker could be started'));
    },
  },
  process.env,
);
