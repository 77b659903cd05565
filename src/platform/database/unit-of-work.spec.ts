import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { Reader, Tx } from '../../core/contracts/unit-of-work.js';
import { asUnavailable } from './database-errors.js';
import { TransactionDoomed, TypeOrmUnitOfWork } from './unit-of-work.js';

describe('TypeOrmUnitOfWork', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let unitOfWork: TypeOrmUnitOfWork;
  const onHookFailure = jest.fn();

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    await dataSource.query('CREATE TABLE notes (id serial PRIMARY KEY, text text NOT NULL)');
    await dataSource.query(
      `ALTER TABLE notes ADD CONSTRAINT once UNIQUE (text) DEFERRABLE INITIALLY DEFERRED`,
    );
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    await dataSource.query('TRUNCATE notes');
    onHookFailure.mockClear();
    unitOfWork = new TypeOrmUnitOfWork(dataSource, onHookFailure);
  });

  const note = (tx: Reader, text: string) =>
    tx.query('INSERT INTO notes (text) VALUES ($1)', [text]);
  const notes = async () => {
    const rows = await dataSource.query<{ text: string }[]>('SELECT text FROM notes ORDER BY id');
    return rows.map(({ text }) => text);
  };
  /** Records which hooks ran, in order. */
  const hooksOf = (tx: Tx, ran: string[], name = '') => {
    tx.afterCommit(() => void ran.push(`${name}committed`));
    tx.afterRollback(() => void ran.push(`${name}rolled back`));
  };
  const backend = async (tx: Reader) =>
    (await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid;
  const disconnect = async (pid: number) => {
    const admin = new Client({ connectionString: database.url });
    await admin.connect();
    await admin.query('SELECT pg_terminate_backend($1, 5000)', [pid]);
    await admin.end();
  };

  it('commits what the work did, gives its result, and calls the hooks of a commit after it', async () => {
    const ran: string[] = [];
    const result = await unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'kept');
      expect(ran).toEqual([]);
      return 7;
    });
    expect(result).toBe(7);
    expect(await notes()).toEqual(['kept']);
    expect(ran).toEqual(['committed']);
  });

  it('runs what is to be run last with the commit, for joined work too', async () => {
    const ran: string[] = [];
    await unitOfWork.run(async (tx) => {
      let text = 'too early';
      tx.atCommit(() => `INSERT INTO notes (text) VALUES ('${text}')`);
      await unitOfWork.run(async (inner) =>
        inner.atCommit(() => `INSERT INTO notes (text) VALUES ('by inner')`),
      );
      hooksOf(tx, ran);
      await note(tx, 'first');
      text = 'last';
    });
    expect(await notes()).toEqual(['first', 'last', 'by inner']);
    expect(ran).toEqual(['committed']);
  });

  it('commits nothing where what is to be run last fails', async () => {
    const ran: string[] = [];
    const refused = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      tx.atCommit(() => 'SELECT 1');
      tx.atCommit(() => 'SELECT 1/0');
      await note(tx, 'lost');
    });
    await expect(refused).rejects.toMatchObject({ code: '22012' });
    expect(await notes()).toEqual([]);
    expect(ran).toEqual(['rolled back']);
    // The connection went back without a transaction on it.
    expect(await unitOfWork.run((tx) => note(tx, 'next'))).toEqual([]);
  });

  it('runs nothing last where the work throws', async () => {
    const statement = jest.fn(() => `INSERT INTO notes (text) VALUES ('lost')`);
    const failing = unitOfWork.run(async (tx) => {
      tx.atCommit(statement);
      throw new RangeError('no');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(statement).not.toHaveBeenCalled();
    expect(await notes()).toEqual([]);
  });

  it('rolls all back when the work throws, passes the error on, and calls the other hooks', async () => {
    const ran: string[] = [];
    const failing = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'lost');
      throw new RangeError('no');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(await notes()).toEqual([]);
    expect(ran).toEqual(['rolled back']);
  });

  it('joins the transaction of its asynchronous context and leaves its end to the outermost', async () => {
    const ran: string[] = [];
    await unitOfWork.run(async (outer) => {
      hooksOf(outer, ran, 'outer ');
      await unitOfWork.run(async (inner) => {
        hooksOf(inner, ran, 'inner ');
        await note(inner, 'by inner');
        expect(await backend(inner)).toBe(await backend(outer));
      });
      expect(ran).toEqual([]);
      expect(await notes()).toEqual([]);
      await note(outer, 'by outer');
    });
    expect(await notes()).toEqual(['by inner', 'by outer']);
    expect(ran).toEqual(['outer committed', 'inner committed']);
  });

  it('keeps the transactions of different contexts apart', async () => {
    const pids = await Promise.all([
      unitOfWork.run((tx) => backend(tx)),
      unitOfWork.run((tx) => backend(tx)),
    ]);
    expect(new Set(pids).size).toBe(2);
  });

  it('cannot commit when work that joined has thrown, even where that was swallowed', async () => {
    const ran: string[] = [];
    const inner = new Error('inner');
    const doomed = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'half');
      await unitOfWork.run(() => Promise.reject(inner)).catch(() => undefined);
    });
    await expect(doomed).rejects.toMatchObject({ name: 'TransactionDoomed', cause: inner });
    expect(await notes()).toEqual([]);
    expect(ran).toEqual(['rolled back']);
  });

  it('does not take for committed what PostgreSQL has aborted behind a swallowed error', async () => {
    const ran: string[] = [];
    const doomed = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'half');
      await tx.query('SELECT 1/0').catch(() => undefined);
    });
    await expect(doomed).rejects.toThrow(TransactionDoomed);
    expect(await notes()).toEqual([]);
    expect(ran).toEqual(['rolled back']);
    // Nor is what was to be run last the first to hear of it.
    const doomedTwice = unitOfWork.run(async (tx) => {
      tx.atCommit(() => 'SELECT 1');
      await tx.query('SELECT 1/0').catch(() => undefined);
    });
    await expect(doomedTwice).rejects.toThrow(TransactionDoomed);
  });

  it('calls the hooks of a rollback when the commit itself is refused', async () => {
    const ran: string[] = [];
    const refused = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'twice');
      await note(tx, 'twice');
    });
    await expect(refused).rejects.toMatchObject({ code: '23505' });
    expect(await notes()).toEqual([]);
    expect(ran).toEqual(['rolled back']);
    // The connection went back without a transaction on it.
    expect(await unitOfWork.run(async (tx) => note(tx, 'next'))).toEqual([]);
  });

  it('calls the hooks of a rollback when the connection is lost before the commit', async () => {
    const ran: string[] = [];
    const lost = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'lost');
      await disconnect(await backend(tx));
      await note(tx, 'never');
    });
    const error: unknown = await lost.catch((error: unknown) => error);
    expect(asUnavailable(error)?.kind.status).toBe(503);
    expect(await notes()).toEqual([]);
    expect(ran).toEqual(['rolled back']);
  });

  it('calls no hook when the connection is lost during the commit: nobody knows how it ended', async () => {
    await dataSource.query(`
      CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION cut();`);
    const ran: string[] = [];
    const cut = unitOfWork.run(async (tx) => {
      hooksOf(tx, ran);
      await note(tx, 'in doubt');
    });
    const error: unknown = await cut.catch((error: unknown) => error);
    await dataSource.query('DROP FUNCTION cut CASCADE');
    expect(asUnavailable(error)?.kind.status).toBe(503);
    expect(ran).toEqual([]);
  });

  it('keeps what a hook throws, at once or later, from the caller and from the other hooks', async () => {
    const ran: string[] = [];
    await unitOfWork.run(async (tx) => {
      tx.afterCommit(() => {
        throw new Error('at once');
      });
      const later: () => unknown = () => Promise.reject(new Error('later'));
      tx.afterCommit(later);
      hooksOf(tx, ran);
    });
    expect(ran).toEqual(['committed']);
    await new Promise(setImmediate);
    expect(onHookFailure.mock.calls.flat().map(String)).toEqual(['Error: at once', 'Error: later']);
  });

  it('opens a transaction of its own for a hook, and for what outlived the one before', async () => {
    let later: Promise<unknown> = Promise.resolve();
    const hooked = Promise.withResolvers<boolean>();
    let outerTx: Tx | undefined;
    await unitOfWork.run(async (tx) => {
      outerTx = tx;
      tx.afterCommit(() => hooked.resolve(unitOfWork.isRunning()));
      later = new Promise(setImmediate)
        .then(() => hooked.promise)
        .then(() => unitOfWork.run((tx) => note(tx, 'later')));
    });
    expect(await hooked.promise).toBe(false);
    await later;
    expect(await notes()).toEqual(['later']);
    await expect(outerTx!.query('SELECT 1')).rejects.toThrow(/has ended/);
    expect(() => outerTx!.manager).toThrow(/has ended/);
  });

  it('says whether a transaction is running in this context', async () => {
    expect(unitOfWork.isRunning()).toBe(false);
    expect(await unitOfWork.run(async () => unitOfWork.isRunning())).toBe(true);
    expect(await unitOfWork.read(async () => unitOfWork.isRunning())).toBe(false);
  });

  it('says how many transactions are open in the process', async () => {
    expect(unitOfWork.open).toBe(0);
    const seen: number[] = [];
    await unitOfWork.run(async () => {
      await unitOfWork.run(async () => void seen.push(unitOfWork.open));
    });
    await unitOfWork.run(() => Promise.reject(new Error('no'))).catch(() => undefined);
    expect([...seen, unitOfWork.open]).toEqual([1, 0]);
  });

  it('reads inside the running transaction, so that it sees what that has written', async () => {
    await unitOfWork.run(async (tx) => {
      await note(tx, 'uncommitted');
      const seen = await unitOfWork.read((reader) => reader.query('SELECT text FROM notes'));
      expect(seen).toEqual([{ text: 'uncommitted' }]);
    });
  });

  it('reads on one connection, outside a transaction, and gives it back', async () => {
    const read = (work: (reader: Reader) => Promise<unknown>) => unitOfWork.read(work);
    await read(async (outer) => {
      await note(outer, 'at once');
      expect(await notes()).toEqual(['at once']);
      await read(async (inner) => expect(await backend(inner)).toBe(await backend(outer)));
    });
    // More often than the pool has connections.
    for (let i = 0; i < 50; i++) await read(() => Promise.reject(new Error())).catch(() => null);
    await read(backend);
  });

  it('gives the rows of every kind of statement, through SQL and through the manager', async () => {
    await unitOfWork.run(async (tx) => {
      const inserted = await tx.query(
        `INSERT INTO notes (text) VALUES ('a'), ('b') RETURNING text`,
      );
      const updated = await tx.query(`UPDATE notes SET text = text || '!' RETURNING text`);
      const removed = await tx.query(`DELETE FROM notes WHERE text = 'a!' RETURNING text`);
      expect(inserted).toEqual([{ text: 'a' }, { text: 'b' }]);
      expect(updated).toEqual([{ text: 'a!' }, { text: 'b!' }]);
      expect(removed).toEqual([{ text: 'a!' }]);
      expect(await tx.manager.query('SELECT text FROM notes')).toEqual([{ text: 'b!' }]);
    });
  });

  it('runs at READ COMMITTED', async () => {
    await unitOfWork.run(async (tx) => {
      expect(await tx.query('SHOW transaction_isolation')).toEqual([
        { transaction_isolation: 'read committed' },
      ]);
    });
  });
});
