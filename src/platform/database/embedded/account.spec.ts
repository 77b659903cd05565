import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { accountFor, canSearch, giveTo } from './account.js';

const IS_ROOT = process.getuid?.() === 0;

describe('whom PostgreSQL runs as', () => {
  let root: string;
  let passwd: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-account-'));
    passwd = path.join(root, 'passwd');
    jest.spyOn(process, 'geteuid').mockReturnValue(0);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(root, { recursive: true });
  });

  const users = (...lines: string[]) => writeFile(passwd, `${lines.join('\n')}\n`);
  const noCluster = () => path.join(root, 'cluster');

  it('is the same user where that is not root', async () => {
    jest.mocked(process.geteuid!).mockReturnValue(1000);
    expect(await accountFor(noCluster())).toBeNull();
  });

  it('is an unprivileged user in place of root, rather one made for PostgreSQL', async () => {
    await users('root:x:0:0::/root:/bin/sh', 'nobody:x:65534:65533::/:/bin/false');
    expect(await accountFor(noCluster(), passwd)).toEqual({ uid: 65534, gid: 65533 });
    await users('nobody:*:-2:-2::/:/bin/false', '_postgres:*:216:216::/:/bin/false');
    expect(await accountFor(noCluster(), passwd)).toEqual({ uid: 216, gid: 216 });
    await users('postgres:x:70:71::/:/bin/sh', 'nobody:x:65534:65534::/:/bin/false');
    expect(await accountFor(noCluster(), passwd)).toEqual({ uid: 70, gid: 71 });
  });

  it.each([['root:x:0:0::/root:/bin/sh'], ['nobody:x:0:0::/:/bin/sh'], ['nobody']])(
    'is nobody at all where there are only such as "%s"',
    async (line) => {
      await users(line);
      await expect(accountFor(noCluster(), passwd)).rejects.toThrow(
        /does not run as root, and .* has none of the users .* DATABASE_URL/,
      );
    },
  );

  (IS_ROOT ? it : it.skip)(
    'is the owner of the cluster once there is one (tried by root)',
    async () => {
      await mkdir(noCluster());
      await users('postgres:x:70:71::/:/bin/sh');
      // Restored by root: it has no owner worth keeping.
      expect(await accountFor(noCluster(), passwd)).toEqual({ uid: 70, gid: 71 });
      await chown(noCluster(), 1234, 1235);
      expect(await accountFor(noCluster(), passwd)).toEqual({ uid: 1234, gid: 1235 });
    },
  );

  (IS_ROOT ? it : it.skip)('is given a directory whole, but not what links name', async () => {
    const inside = path.join(root, 'given', 'a', 'b');
    await mkdir(inside, { recursive: true });
    await users();
    await symlink(passwd, path.join(inside, 'link'));
    await giveTo({ uid: 1234, gid: 1235 }, path.join(root, 'given'));
    expect(await stat(inside)).toMatchObject({ uid: 1234, gid: 1235 });
    expect((await stat(passwd)).uid).toBe(0);
  });

  it('gets through a directory by the bits for its owner, its group and others', async () => {
    const deep = path.join(root, 'closed', 'deep');
    await mkdir(deep, { recursive: true });
    await chmod(root, 0o755);
    const { uid, gid } = await stat(deep);
    const [owner, member, other] = [
      { uid, gid: gid + 1 },
      { uid: uid + 1, gid },
      { uid: uid + 1, gid: gid + 1 },
    ];
    const whoMay = async (mode: number) => {
      await chmod(path.dirname(deep), mode);
      const may = await Promise.all([owner, member, other].map((who) => canSearch(deep, who)));
      await chmod(path.dirname(deep), 0o755);
      return may;
    };
    expect(await whoMay(0o700)).toEqual([true, false, false]);
    expect(await whoMay(0o710)).toEqual([true, true, false]);
    expect(await whoMay(0o701)).toEqual([true, false, true]);
    expect(await whoMay(0o666)).toEqual([false, false, false]);
    expect(await canSearch('/nowhere', null)).toBe(true);
  });
});
