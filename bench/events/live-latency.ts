import { once } from 'node:events';
import { Client } from 'pg';
import { inMilliseconds, median } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { LiveBus } from './live.js';

const BARE = 'a bare LISTEN/NOTIFY round trip';

/** From the commit to a client that follows the stream, as an administrator, on the same machine. */
export const liveLatency = race('commit to live client', async (bench) => {
  const count = bench.quick ? 5 : 200;
  const bus = await LiveBus.start(bench);
  const follower = async (
    name: string,
    open: (told: () => void) => Promise<() => void>,
  ): Promise<Contestant> => {
    let told: () => void = () => undefined;
    let leave: () => void = () => undefined;
    return {
      name,
      note: `the median of ${count} commits; from the moment the commit is confirmed, client and bus in one process`,
      async setUp() {
        leave = await open(() => told());
      },
      async run() {
        const times: number[] = [];
        for (let n = 0; n < count; n++) {
          const arrived = new Promise<void>((resolve) => (told = resolve));
          await bus.publish(n);
          const committed = performance.now();
          await arrived;
          times.push((performance.now() - committed) / 1000);
        }
        return median(times);
      },
      tearDown: () => Promise.resolve(leave()),
    };
  };
  const [listening, notifying] = [1, 2].map(
    () => new Client({ connectionString: bus.databaseUrl }),
  );
  if (!listening || !notifying) throw new Error('two connections');
  await Promise.all([listening.connect(), notifying.connect()]);
  await listening.query('LISTEN bench');
  bench.defer(async () => {
    await Promise.all([listening.end(), notifying.end()]);
  });
  const bare: Contestant = {
    name: BARE,
    note: `the median of ${count}, from one connection to another`,
    async run() {
      const times: number[] = [];
      for (let n = 0; n < count; n++) {
        const heard = once(listening, 'notification');
        const started = performance.now();
        await notifying.query('NOTIFY bench');
        await heard;
        times.push((performance.now() - started) / 1000);
      }
      return median(times);
    },
  };
  return {
    contestants: [
      await follower('Varve, Server-Sent Events', (told) => bus.follow(told)),
      await follower('Varve, WebSocket', (told) => bus.connect(told)),
      bare,
    ],
    comparisons: ['Varve, Server-Sent Events', 'Varve, WebSocket'].map((contestant) => ({
      contestant,
      against: BARE,
      atMost: 3,
    })),
    rounds: 5,
    warmUps: 1,
    figure: inMilliseconds,
  };
});
