import { InvalidConfig } from '../../platform/config/config.js';

/** `EVENT_BUS_URL`, as far as the brokers understand it alike. */
export interface BrokerUrl {
  /** Without credentials, to be shown. */
  readonly address: string;
  /** What stream, exchange or topic is called. */
  readonly name: string;
  /** How many messages are kept, where the broker keeps them by number. */
  readonly keep: number;
  /** Of the first server. */
  readonly host: string;
  readonly port: number;
  /** `host:port` of the servers to begin with. */
  readonly servers: readonly string[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** What stands after the host, without the slash: a database's number, a virtual host. */
  readonly path: string;
  readonly url: URL;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const KEEP = { fallback: 1_000_000, least: 1_000, most: 1_000_000_000 };

/** Reads the URL of a broker. @throws InvalidConfig */
export function parseBrokerUrl(text: string, defaultPort: number): BrokerUrl {
  const url = new URL(text);
  const query = url.searchParams;
  const name = query.get('name') ?? 'varve';
  if (!NAME.test(name)) {
    throw new InvalidConfig([
      'EVENT_BUS_URL takes a name of up to 64 letters, digits, - and _ in ?name=',
    ]);
  }
  const keep = Number(query.get('keep') ?? KEEP.fallback);
  if (!Number.isInteger(keep) || keep < KEEP.least || keep > KEEP.most) {
    throw new InvalidConfig([
      `EVENT_BUS_URL takes a whole number from ${KEEP.least} to ${KEEP.most} in ?keep=`,
    ]);
  }
  const withPort = (server: string) => (/:\d+$/.test(server) ? server : `${server}:${defaultPort}`);
  const first = withPort(url.host);
  return {
    address: `${url.protocol}//${first}/${name}`,
    name,
    keep,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || defaultPort),
    servers: [first, ...query.getAll('server').map(withPort)],
    username: decode(url.username) || undefined,
    password: decode(url.password) || undefined,
    path: decode(url.pathname.slice(1)),
    url,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new InvalidConfig(['EVENT_BUS_URL takes a % only before two hexadecimal digits']);
  }
}
