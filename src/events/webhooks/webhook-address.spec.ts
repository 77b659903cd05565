import { describe, expect, it } from '@jest/globals';
import type { lookup } from 'node:dns';
import { createServer, request } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { InvalidInput } from '../../core/problems.js';
import { isPublicAddress, WebhookAddresses } from './webhook-address.js';

/** A resolver that gives, at each question, the next of the answers. */
const resolver = (...answers: string[][]) => {
  let asked = 0;
  const resolve = (_host: string, _options: object, callback: (...args: unknown[]) => void) => {
    const addresses = answers[Math.min(asked++, answers.length - 1)]!;
    if (addresses.length === 0) return callback(new Error('ENOTFOUND'), []);
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return resolve as unknown as typeof lookup;
};

describe('the address of a webhook', () => {
  it.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://0x7f.0.0.1/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://2130706433/',
    'http://127.0.0.1./',
    'http://①②⑦.0.0.1/',
    'http://0/',
    'http://0.0.0.0/',
    'http://10.1.2.3/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://100.100.100.200/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://198.18.0.1/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:7f00:1::]/',
    'http://[fe80::1]/',
    'http://[fc00::1]/',
    'http://[fd00:ec2::254]/',
    'http://[fec0::1]/',
    'http://[ff02::1]/',
  ])('is refused as %s, whatever the notation', async (text) => {
    const addresses = new WebhookAddresses([]);
    const url = addresses.parse(text);
    await expect(addresses.check(url)).rejects.toThrow(InvalidInput);
  });

  it.each(['ftp://example.com/', 'file:///etc/passwd', 'https://u:p@example.com/', 'no url', ''])(
    'is refused as %j',
    (text) => expect(() => new WebhookAddresses([]).parse(text)).toThrow(InvalidInput),
  );

  it('is refused where any address of its name is inside, or there is none', async () => {
    const check = (...answers: string[][]) =>
      new WebhookAddresses([], resolver(...answers)).check(new URL('http://x.example/'));
    await expect(check(['93.184.215.14'])).resolves.toBeUndefined();
    await expect(check(['93.184.215.14', '10.0.0.1'])).rejects.toThrow('public address');
    await expect(check(['2606:4700::1111', '::1'])).rejects.toThrow('public address');
    await expect(check([])).rejects.toThrow('cannot be resolved');
  });

  it('may be inside where the operator has named its host', async () => {
    const addresses = new WebhookAddresses(
      ['Hooks.internal', '127.0.0.1', '::1'],
      resolver(['10.0.0.1']),
    );
    await addresses.check(new URL('http://hooks.internal/'));
    await addresses.check(new URL('http://127.1/'));
    await addresses.check(new URL('http://[::1]/'));
    await expect(addresses.check(new URL('http://other.internal/'))).rejects.toThrow(InvalidInput);
    expect(() => addresses.checkLiteral(new URL('http://10.0.0.1/'))).toThrow('no public address');
    addresses.checkLiteral(new URL('http://name.example/'));
  });

  it('is checked again when connecting, where a name leads inside by then', async () => {
    const inside = createServer((_, res) => res.end('secret')).listen(0, '127.0.0.1');
    await once(inside, 'listening');
    const { port } = inside.address() as AddressInfo;
    const addresses = new WebhookAddresses([], resolver(['93.184.215.14'], ['127.0.0.1'], []));
    const url = new URL(`http://rebinding.example:${port}/`);
    await addresses.check(url);
    const connect = () =>
      new Promise((resolve, reject) => {
        request(url, { lookup: addresses.lookup, agent: false }, resolve).on('error', reject).end();
      });
    await expect(connect()).rejects.toThrow('no public address');
    await expect(connect()).rejects.toThrow('ENOTFOUND');
    inside.close();
  });

  it('is one that connects, in either form in which Node asks', async () => {
    const { lookup: find } = new WebhookAddresses([], resolver(['93.184.215.14']));
    const ask = (all: boolean) =>
      new Promise((resolve) =>
        find('x.example', { all }, (_, address, family) => resolve([address, family])),
      );
    expect(await ask(false)).toEqual(['93.184.215.14', 4]);
    expect(await ask(true)).toEqual([[{ address: '93.184.215.14', family: 4 }], undefined]);
  });

  it.each([
    ['8.8.8.8', true],
    ['2606:4700:4700::1111', true],
    ['::ffff:8.8.8.8', true],
    ['192.88.99.1', false],
  ])('%s is public: %s', (address, expected) => expect(isPublicAddress(address)).toBe(expected));
});
