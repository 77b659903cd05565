import { AdminBootstrap } from '../../src/access/admin-bootstrap.js';
import { EVENT_BUS, type EventBus } from '../../src/core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { createEventBus } from '../../src/event-bus.js';
import { drain } from '../../src/http-application.js';
import { readConfig } from '../../src/platform/config/config.js';
import { request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Bench } from '../harness/bench.js';
import { anEvent, newDatabase } from './bus.js';

const TOKEN = 'administrator-of-the-benchmark';
const PATH = '/api/v1/events/stream';

/** The event bus as it serves live streams, in the process of the benchmark. */
export class LiveBus {
  private constructor(
    readonly databaseUrl: string,
    private readonly port: number,
    private readonly bus: EventBus,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  static async start(bench: Bench): Promise<LiveBus> {
    const databaseUrl = await newDatabase(bench);
    const config = readConfig({
      ADMIN_TOKEN: TOKEN,
      LOG_LEVEL: 'silent',
      DATA_DIR: await bench.folder('live'),
    });
    const app = await createEventBus({ config, databaseUrl });
    bench.defer(() => drain(app, 1_000));
    await app.get(AdminBootstrap, { strict: false }).ensureAdministrator();
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    return new LiveBus(
      databaseUrl,
      port,
      app.get<EventBus>(EVENT_BUS, { strict: false }),
      app.get<UnitOfWork>(UNIT_OF_WORK, { strict: false }),
    );
  }

  /** Commits one event. */
  async publish(n: number): Promise<void> {
    await this.unitOfWork.run((tx) => this.bus.publishAll(tx, [anEvent(n)]));
  }

  /** Follows as Server-Sent Events, and calls `told` for each event. @returns leaves */
  async follow(told: () => void): Promise<() => void> {
    const asking = request({ port: this.port, path: PATH, headers: this.headers(), agent: false });
    asking.end();
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    answer.setEncoding('utf8').on('data', (text: string) => {
      for (let at = text.indexOf('\ndata: '); at >= 0; at = text.indexOf('\ndata: ', at + 1))
        told();
    });
    return () => asking.destroy();
  }

  /** Follows over a WebSocket, and calls `told` for each event. @returns leaves */
  async connect(told: () => void): Promise<() => void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}${PATH}`, { headers: this.headers() });
    await once(socket, 'open');
    socket.send(JSON.stringify({ action: 'subscribe', id: 'bench' }));
    await once(socket, 'message');
    socket.on('message', (bytes: Buffer) => {
      if (bytes.includes('"kind":"event"')) told();
    });
    return () => socket.terminate();
  }

  private headers(): Record<string, string> {
    return { Authorization: `Bearer ${TOKEN}` };
  }
}
