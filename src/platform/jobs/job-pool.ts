import { Logger as QueueLogger } from 'graphile-worker';
import { Logger } from '@nestjs/common';
import { Pool } from 'pg';

/**
 * Connections for the queue's own business. They are not the ones that requests wait for: a busy
 * server must not look like a dead one because its heartbeat found no connection.
 */
export function openJobPool(url: string, size: number): Pool {
  const logger = new Logger('JobPool');
  const pool = new Pool({ connectionString: url, max: size, application_name: 'varve jobs' });
  // A connection that is lost fails the next query on it, which is tried again; unheard, the event
  // would end the process.
  const onError = (error: Error) => {
    // A pool has ended before the server has heard of each connection's end, and may stop first.
    if (!pool.ending) logger.warn(`A connection was lost: ${error.message}`);
  };
  pool.on('error', onError);
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

/** Passes on what graphile-worker has to say, without the jobs' failures: those are told with more. */
export const queueLogger = new QueueLogger(() => {
  const logger = new Logger('JobQueue');
  return (level, message, meta) => {
    if (meta['failure'] === true) return;
    if (level === 'error') logger.error(message);
    else if (level === 'warning') logger.warn(message);
    else logger.debug(message);
  };
});
