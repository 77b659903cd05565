import { inMilliseconds, median } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { LiveBus } from './live.js';
import { ROUND_TRIP, roundTrip } from './round-trip.js';

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
  return {
    contestants: [
      await follower('Varve, Server-Sent Events', (told) => bus.follow(told)),
      await follower('Varve, WebSocket', (told) => bus.connect(told)),
      await roundTrip(bench, bus.databaseUrl, count),
    ],
    comparisons: ['Varve, Server-Sent Events', 'Varve, WebSocket'].map((contestant) => ({
      contestant,
      against: ROUND_TRIP,
      atMost: 3,
    })),
    rounds: 5,
    warmUps: 1,
    figure: inMilliseconds,
  };
});
