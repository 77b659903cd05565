import { parseArgs } from 'node:util';
import { connect } from './demo/api.js';
import { startOwnServer, type DemoServer } from './demo/own-server.js';
import { Story } from './demo/story.js';
import { bold, dim, green, red } from './demo/terminal.js';

const USAGE = `npm run demo -- [--url <address> --token <API key>] [--keep]

  Shows the server's main job on real data: against a running server (--url and --token, or
  VARVE_URL and VARVE_TOKEN), or against one that it starts, and stops, itself.

  --keep    leaves the dataset on the running server, to look at`;

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

/** The running server that was named; null where there is none to name. */
function namedServer(): DemoServer | null {
  const url = values.url ?? process.env['VARVE_URL'];
  const token = values.token ?? process.env['VARVE_TOKEN'];
  if (!url && !token) return null;
  if (!url || !token)
    throw new Error(`A running server takes both an address and a key.\n\n${USAGE}`);
  return { url: url.replace(/\/+$/, ''), token, stop: () => Promise.resolve() };
}

async function run(): Promise<boolean> {
  const named = namedServer();
  if (!named) console.log(dim('Starting a server of its own …'));
  const server = named ?? (await startOwnServer());
  console.log(`${bold('Varve')} on ${server.url}`);
  const story = new Story(connect(server.url, server.token));
  const finish = async () => {
    try {
      if (named && !values.keep) await story.cleanUp();
    } finally {
      await server.stop();
    }
  };
  const interrupt = () => void finish().finally(() => process.exit(130));
  process.once('SIGINT', interrupt);
  try {
    return await story.tell();
  } finally {
    process.off('SIGINT', interrupt);
    await finish();
  }
}

/** What happened, in a line; `fetch` hides why it failed in a cause. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}

if (values.help) {
  console.log(USAGE);
} else {
  const began = performance.now();
  try {
    const good = await run();
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(
      good
        ? `\n${green('✓')} Everything came back as it went in (${seconds} s).`
        : `\n${red('✗')} Something did not come back as it went in; see above.`,
    );
    if (!good) process.exitCode = 1;
  } catch (error) {
    console.error(`\n${red('✗')} ${explain(error)}`);
    process.exitCode = 1;
  }
}
