import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describeConfig, InvalidConfig, readConfig } from './config.js';

describe('the configuration', () => {
  it('stands on its own without any variable', () => {
    const config = readConfig({});
    expect(config.PORT).toBe(3000);
    expect(config.HOST).toBe('127.0.0.1');
    expect(config.GC_GRACE).toBe(24 * 3600 * 1000);
    expect(path.isAbsolute(config.DATA_DIR)).toBe(true);
    expect(config.DATABASE_URL).toBeUndefined();
  });

  it('reads durations, whole numbers and choices, and counts an empty variable as none', () => {
    const config = readConfig({ GC_GRACE: '15m', PORT: '8080', LOG_LEVEL: 'debug', HOST: '' });
    expect(config).toMatchObject({
      GC_GRACE: 900_000,
      PORT: 8080,
      LOG_LEVEL: 'debug',
      HOST: '127.0.0.1',
    });
  });

  it.each([
    ['PORT', '99999', 'a whole number from 0 to 65535'],
    ['PORT', 'http', 'a whole number'],
    ['GC_GRACE', '1 day', 'a duration such as 30s'],
    ['DATABASE_URL', 'mysql://x', 'a URL such as postgres://'],
    ['STORAGE_URL', '/srv', 'a URL such as file:///'],
    ['EVENT_BUS_URL', 'mqtt://broker', 'the URL of a broker'],
    ['EVENT_BUS_URL', 'nats:', 'such as nats://localhost:4222'],
    ['EVENT_BUS_URL', 'nowhere', 'takes memory:'],
    ['EVENT_BUS_URL', 'http://user:word@bus:3100', 'the plain address of an event bus'],
    ['EVENT_BUS_URL', 'http://bus:3100/?a=b', 'the plain address of an event bus'],
    ['EVENT_BUS_KEY', 'a-key-of-the-event-bus', 'must be given with an EVENT_BUS_URL of http'],
    ['LOG_LEVEL', 'loud', 'LOG_LEVEL'],
    ['ADMIN_TOKEN', 'short', '16 characters'],
    ['SECRETS_KEY', 'short', 'takes 32 random bytes in base64'],
    ['SECRETS_KEY', `${'A'.repeat(43)}=,`, 'several such keys with commas'],
    ['OIDC_ISSUER', 'provider', 'the URL of an OpenID provider'],
    ['OIDC_AUDIENCE', 'varve', 'and not without'],
    ['TRUSTED_PROXIES', 'everybody', 'takes addresses'],
    ['TRUSTED_PROXIES', '10.0.0.0/33', 'takes addresses'],
    ['TRUSTED_PROXIES', '10.0.0.0/8/8', 'takes addresses'],
  ])('refuses %s=%s with a sentence that names it', (name, value, sentence) => {
    expect(() => readConfig({ [name]: value })).toThrow(InvalidConfig);
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`${name}.*${sentence}|${name}`));
    expect(() => readConfig({ [name]: value })).toThrow(sentence);
  });

  it.each(['memory:', 'nats://u:p@a:4222?name=x'])('takes %s for EVENT_BUS_URL', (url) => {
    expect(readConfig({ EVENT_BUS_URL: url }).EVENT_BUS_URL).toBe(url);
  });

  it('takes the address of an event bus with a key for it, and not without', () => {
    const EVENT_BUS_URL = 'https://bus.example/base';
    expect(() => readConfig({ EVENT_BUS_URL })).toThrow(/EVENT_BUS_KEY must be given/);
    const EVENT_BUS_KEY = 'a-key-of-the-event-bus';
    expect(readConfig({ EVENT_BUS_URL, EVENT_BUS_KEY })).toMatchObject({ EVENT_BUS_URL });
  });

  it('does not repeat a password of EVENT_BUS_URL', () => {
    const url = 'mqtt://user:secret-word@broker';
    expect(() => readConfig({ EVENT_BUS_URL: url })).not.toThrow(/secret-word/);
  });

  it('reads lists of proxies', () => {
    expect(readConfig({ TRUSTED_PROXIES: 'loopback, 10.0.0.0/8,2001:db8::/32,' })).toMatchObject({
      TRUSTED_PROXIES: ['loopback', '10.0.0.0/8', '2001:db8::/32'],
    });
  });

  it('names every variable that is wrong at once', () => {
    expect(() => readConfig({ PORT: 'x', GC_GRACE: 'y' })).toThrow(/PORT[\s\S]*GC_GRACE/);
  });

  it('has a line in the documentation for each variable, with its default', async () => {
    const page = (await readFile('docs/configuration.md', 'utf8')).replace(/ +/g, ' ');
    for (const { name, fallback, meaning } of describeConfig()) {
      expect(page).toContain(`| \`${name}\` |${fallback === null ? '' : ` \`${fallback}\``} |`);
      expect(page).toContain(meaning);
    }
  });
});
