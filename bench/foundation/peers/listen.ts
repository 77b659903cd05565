import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Listens on any free port and says which: what `startPeer` waits for. */
export function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    process.stdout.write(`listens on ${port}\n`);
  });
}
