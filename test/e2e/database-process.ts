/**
 * A process that holds a data directory as the server does, for tests that kill it.
 * Arguments: `lock` or `serve`, and the directory. Tells what happens in lines of JSON; obeys lines
 * on its standard input, and lets everything go when that ends.
 */
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { lockDataDir } from '../../src/platform/database/data-dir-lock.js';
import { openDatabase } from '../../src/platform/database/open-database.js';

const [mode, dataDir = ''] = process.argv.slice(2);
const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const log = (message: string) => void tell({ log: message });

try {
  const lock = await lockDataDir(dataDir);
  const database =
    mode === 'serve'
      ? await openDatabase(
          { DATABASE_URL: undefined, DATA_DIR: dataDir },
          { info: log, warn: log, error: log },
        )
      : null;

  const close = async () => {
    await database?.close();
    await lock.release();
    process.exit();
  };
  process.on('SIGINT', () => {
    // As a server drains: the database still has to be there.
    const client = new Client({ connectionString: database?.url });
    void client
      .connect()
      .then(() => client.query('SELECT pg_sleep(0.2)'))
      .then(() => tell({ drained: true }))
      .then(() => client.end())
      .then(close);
  });
  const orders = createInterface(process.stdin);
  orders.on('line', (order) => {
    if (order === 'exit') process.exit(3);
    if (order === 'throw') throw new Error('as told');
  });
  orders.on('close', () => void close());
  tell({ ready: true, url: database?.url });
} catch (error) {
  const { name, message } = error as Error;
  tell({ error: name, message });
  process.exit(1);
}
