import { CannotStart } from '../../../core/cannot-start.js';

/** The embedded PostgreSQL cannot run here; the message says why and what to do instead. */
export class EmbeddedPostgresUnavailable extends CannotStart {
  override readonly name = 'EmbeddedPostgresUnavailable';
}
