import { describe } from '@jest/globals';
import { connect } from 'node:net';

/** Whether something listens there. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * `describe` where a broker listens, and otherwise a suite that says that it was skipped and why.
 * Where the brokers have to be there (VARVE_REQUIRE_BROKERS=1) it fails instead.
 */
export async function describeWithBroker(
  broker: string,
  port: number,
  suite: () => void,
): Promise<void> {
  const isThere = (await listens(port)) || process.env['VARVE_REQUIRE_BROKERS'] === '1';
  describeWhere(isThere, broker, `no ${broker} listens on 127.0.0.1:${port}`, suite);
}

/** `describe`, or a suite that is skipped and says why. */
export function describeWhere(
  condition: boolean,
  name: string,
  otherwise: string,
  suite: () => void,
): void {
  if (condition) return suite();
  process.stderr.write(`${name} is skipped: ${otherwise}\n`);
  describe.skip(`${name} (skipped: ${otherwise})`, suite);
}
