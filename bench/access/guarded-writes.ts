import path from 'node:path';
import type { Bench } from '../harness/bench.js';
import { perSecond } from '../harness/figures.js';
import { ChildProcess } from '../harness/processes.js';
import { race } from '../harness/race.js';

const AT_ONCE = 8;
/** Anything will do where nobody asks for it. */
const NO_TOKEN = 'none';

interface Target {
  readonly port: number;
  readonly token: string;
  readonly datasetId: number;
}

/** What guard, policy and audit cost where they weigh most: on a request that does almost nothing. */
export const guardedWrites = race('400 small writes, 8 at once', (bench) => {
  const writes = bench.quick ? 40 : 400;
  let guarded: Target;
  let open: Target;
  let peer: ChildProcess;
  return {
    contestants: [
      {
        name: 'Varve',
        note: 'a member with a key and a grant through a group; every write audited',
        async setUp() {
          guarded = await shareWithMember(bench);
        },
        run: ({ stamp }) => write(guarded, writes, stamp),
      },
      {
        name: 'the same without guard, policy and audit',
        note: 'taken out by the harness',
        async setUp() {
          peer = await startOpenServer(bench);
          open = await target(peer.port, NO_TOKEN);
        },
        run: ({ stamp }) => write(open, writes, stamp),
        tearDown: () => peer?.stop(),
      },
    ],
    comparisons: [
      {
        contestant: 'Varve',
        against: 'the same without guard, policy and audit',
        atMost: 1.3,
      },
    ],
    rounds: 7,
    warmUps: 2,
    figure: perSecond(writes),
    settle: true,
  };
});

async function startOpenServer(bench: Bench): Promise<ChildProcess> {
  const folder = await bench.folder('open-server');
  const program = path.join(import.meta.dirname, 'peers/open-server.js');
  return ChildProcess.start(process.execPath, [program], {
    cwd: folder,
    env: { DATA_DIR: path.join(folder, 'data'), LOG_LEVEL: 'warn' },
    logFile: path.join(folder, 'log'),
    ready: /^listens on (\d+)$/m,
  });
}

/** A dataset of the administrator's, and the key of a member whose group may write to it. */
async function shareWithMember(bench: Bench): Promise<Target> {
  const varve = await bench.startVarve('access');
  const user = await varve.call<{ id: number }>('POST', '/users', { name: 'm', role: 'member' });
  const key = await varve.call<{ key: string }>('POST', '/api-keys', {
    name: 'bench',
    userId: user.id,
  });
  const group = await varve.call<{ id: number }>('POST', '/groups', { name: 'g' });
  const dataset = await varve.call<{ id: number }>('POST', '/datasets', { name: 'd' });
  const grant = `/datasets/${dataset.id}/permissions/groups/${group.id}`;
  await varve.call('PUT', grant, { permission: 'write' });
  const member = `/api/v1/groups/${group.id}/members/${user.id}`;
  const { headers } = varve.head('PUT', '');
  await fetch(`http://127.0.0.1:${varve.port}${member}`, { method: 'PUT', headers });
  return { port: varve.port, token: key.key, datasetId: dataset.id };
}

async function target(port: number, token: string): Promise<Target> {
  const answer = await send({ port, token }, 'POST', '/datasets', { name: 'd' });
  const { id } = (await answer.json()) as { id: number };
  return { port, token, datasetId: id };
}

/** Changes the description of a dataset again and again; gives the seconds. */
async function write(to: Target, writes: number, stamp: bigint): Promise<number> {
  let left = writes;
  const begun = performance.now();
  const worker = async () => {
    while (left > 0) {
      const body = { description: `${stamp} ${left--}` };
      await (await send(to, 'PATCH', `/datasets/${to.datasetId}`, body)).arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return (performance.now() - begun) / 1000;
}

/** @throws Error unless the answer is 2xx */
async function send(
  { port, token }: Pick<Target, 'port' | 'token'>,
  method: string,
  route: string,
  body: unknown,
): Promise<Response> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1${route}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${await answer.text()}`);
  return answer;
}
