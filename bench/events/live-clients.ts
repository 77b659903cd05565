import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { inMilliseconds, KIB, median } from '../harness/figures.js';
import { treeBytes } from '../harness/memory.js';
import type { Measurement, Row } from '../harness/suite.js';
import { Varve } from '../harness/varve.js';

const FEW = 10;
const MAX_BYTES_EACH = 60 * KIB;
const MAX_TIMES = 100;

/** What a thousand live clients cost beside ten: memory of the server, and the time to tell them all. */
export const liveClients: Measurement = {
  work: '1,000 live clients',
  async measure(bench) {
    const many = bench.quick ? 50 : 1_000;
    const rounds = bench.quick ? 3 : 30;
    const varve = await Varve.start(await bench.folder('live-clients'));
    bench.defer(() => varve.stop());
    const clients = new LiveClients(varve);
    bench.defer(() => clients.leave());
    await clients.join(FEW);
    const few = await clients.timeToTellAll(rounds);
    const before = await settled(varve.pid);
    await clients.join(many - FEW);
    const all = await clients.timeToTellAll(rounds);
    const bytesEach = Math.max(0, (await settled(varve.pid)) - before) / (many - FEW);
    const row = (work: string, figures: Omit<Row, 'work' | 'verdict'>, holds: boolean): Row => ({
      work,
      ...figures,
      verdict: holds ? 'pass' : 'miss',
    });
    const kibibytes = `${(bytesEach / KIB).toFixed(1)} KiB`;
    return {
      rows: [
        row(
          `${many} live clients: memory for each`,
          { ours: kibibytes, beside: '–', theirs: '–', ratio: '–', target: '≤ 60 KiB' },
          bytesEach <= MAX_BYTES_EACH,
        ),
        row(
          `${many} live clients: an event reaches all`,
          {
            ours: inMilliseconds(all),
            beside: `${FEW} clients`,
            theirs: inMilliseconds(few),
            ratio: (all / few).toFixed(2),
            target: `≤ ${MAX_TIMES} times`,
          },
          all / few <= MAX_TIMES,
        ),
      ],
      details: [],
    };
  },
};

/** The median of a while: what a burst has taken is given back by and by. */
async function settled(pid: number): Promise<number> {
  const sizes: number[] = [];
  for (let n = 0; n < 20; n++) {
    await sleep(250);
    sizes.push(await treeBytes(pid));
  }
  return median(sizes);
}

/** Clients that follow the stream of Server-Sent Events, in the process of the benchmark. */
class LiveClients {
  private readonly open: ClientRequest[] = [];
  private waiting = 0;
  private allTold: () => void = () => undefined;

  constructor(private readonly varve: Varve) {}

  async join(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await this.joinOne();
  }

  /** From the request to publish until the last client has the event: the median, in seconds. */
  async timeToTellAll(rounds: number): Promise<number> {
    const times: number[] = [];
    for (let n = 0; n < rounds; n++) {
      this.waiting = this.open.length;
      const all = new Promise<void>((resolve) => (this.allTold = resolve));
      const started = performance.now();
      await this.varve.call('POST', '/events', { type: 'bench.told', data: { n } });
      await all;
      times.push((performance.now() - started) / 1000);
    }
    return median(times);
  }

  leave(): void {
    for (const asking of this.open) asking.destroy();
  }

  private async joinOne(): Promise<void> {
    const { target, headers } = this.varve.head('GET', '/events/stream?type=bench.told');
    const asking = request({ port: this.varve.port, path: target, headers, agent: false }).end();
    asking.on('error', () => undefined);
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    answer.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('event: bench.told') && --this.waiting === 0) this.allTold();
    });
    answer.on('error', () => undefined);
    this.open.push(asking);
  }
}
