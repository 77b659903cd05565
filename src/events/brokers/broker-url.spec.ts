import { describe, expect, it } from '@jest/globals';
import { InvalidConfig } from '../../platform/config/config.js';
import { brokerOf } from './broker-registry.js';
import { parseBrokerUrl } from './broker-url.js';

describe('the URL of a broker', () => {
  it('says where, as whom, and what it is called there', () => {
    const url = 'nats://ann:p%40ss@one?name=mine&keep=5000&server=two:5222&server=three';
    expect(parseBrokerUrl(url, 4222)).toMatchObject({
      address: 'nats://one:4222/mine',
      name: 'mine',
      keep: 5_000,
      servers: ['one:4222', 'two:5222', 'three:4222'],
      username: 'ann',
      password: 'p@ss',
    });
    expect(parseBrokerUrl('amqp://[::1]:5673/a%2Fb', 5672)).toMatchObject({
      host: '::1',
      port: 5673,
      servers: ['[::1]:5673'],
      path: 'a/b',
      name: 'varve',
      username: undefined,
    });
  });

  it.each([
    ['nats://host?name=a.b', '\\?name='],
    ['nats://host?keep=none', '\\?keep='],
    ['nats://host?keep=10', '\\?keep='],
    ['nats://%zz@host', 'hexadecimal'],
    ['redis://host/one', 'number'],
  ])('is refused where it is %s, with a sentence', async (url, sentence) => {
    await expect(brokerOf(url)).rejects.toThrow(InvalidConfig);
    await expect(brokerOf(url)).rejects.toThrow(new RegExp(`EVENT_BUS_URL.*${sentence}`));
  });

  it('names no broker where events stay within the database', async () => {
    expect(await brokerOf('memory:')).toBeNull();
  });
});
