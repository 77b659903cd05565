import ipaddr from 'ipaddr.js';
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { promisify } from 'node:util';
import { InvalidInput } from '../../core/problems.js';

const PUBLIC_IPV6 = ipaddr.parseCIDR('2000::/3');

/** The address is none of the internet's: nobody may have the server speak to its own surroundings. */
export class InternalAddress extends Error {
  constructor(host: string) {
    super(`${host} is no public address.`);
    this.name = 'InternalAddress';
  }
}

/** Whether an address is one that everybody on the internet may speak to. */
export function isPublicAddress(text: string): boolean {
  const address = ipaddr.parse(text);
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast';
  if (address.isIPv4MappedAddress()) return isPublicAddress(address.toIPv4Address().toString());
  // Those that carry an IPv4 address inside (6to4, Teredo, NAT64 …) have ranges of their own.
  return address.range() === 'unicast' && address.match(PUBLIC_IPV6);
}

/**
 * Where webhooks may be sent: to public addresses, whatever notation they are written in and
 * whatever a name resolves to, and to internal hosts that the operator has named.
 */
export class WebhookAddresses {
  private readonly allowed: ReadonlySet<string>;

  constructor(
    allowedHosts: readonly string[],
    private readonly resolve: typeof lookup = lookup,
  ) {
    this.allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  }

  /** Reads a URL, whose host may be any at first sight. @throws InvalidInput */
  parse(text: string): URL {
    const url = URL.parse(text);
    const refuse = (message: string) => {
      throw new InvalidInput(`url ${message}.`, [{ at: 'url', message }]);
    };
    // The parser writes every notation of an IPv4 address (0x7f.1, 2130706433) in the usual one.
    if (!url || !/^https?:$/.test(url.protocol)) return refuse('takes an http or https URL');
    if (url.username || url.password) return refuse('must not hold a name or a password');
    return url;
  }

  /** Resolves the host, once, and refuses what is inside. @throws InvalidInput */
  async check(url: URL): Promise<void> {
    const message = 'must lead to a public address; the operator can allow hosts inside';
    try {
      const literal = literalOf(url);
      if (literal !== null) return this.requirePublic(url.hostname, [{ address: literal }]);
      const found = await promisify(this.resolve)(hostOf(url), { all: true });
      this.requirePublic(url.hostname, found);
    } catch (error) {
      const isInside = error instanceof InternalAddress;
      const why = isInside ? message : 'has a host that cannot be resolved';
      throw new InvalidInput(`url ${why}.`, [{ at: 'url', message: why }]);
    }
  }

  /** The same for an address that needs no resolving, which a connection does not look up. */
  checkLiteral(url: URL): void {
    const literal = literalOf(url);
    if (literal !== null) this.requirePublic(url.hostname, [{ address: literal }]);
  }

  /**
   * Resolves for a connection, which then uses the very address that was checked: a name that
   * resolves differently the next time leads nowhere else.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      const [first] = found ?? [];
      if (error || !first) return callback(error ?? new InternalAddress(hostname), '', 0);
      try {
        this.requirePublic(hostname, found);
      } catch (refusal) {
        return callback(refusal as Error, '', 0);
      }
      if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };

  private requirePublic(hostname: string, found: readonly { address: string }[]): void {
    if (this.allowed.has(bare(hostname))) return;
    if (found.every(({ address }) => isPublicAddress(address))) return;
    throw new InternalAddress(hostname);
  }
}

/** The host without the brackets of IPv6. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function literalOf(url: URL): string | null {
  const host = hostOf(url);
  return isIP(host) ? host : null;
}

function bare(hostname: string): string {
  return hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
}
