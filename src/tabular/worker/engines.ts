import { Session, type EngineLimits } from '../engine/session.js';

/** Where work gets its engine. Each is for one request, and closed after it. */
export interface Engines {
  open(limits: EngineLimits): Promise<Session>;
  close(session: Session): void;
}

/** Opens an engine when it is asked for. */
export const freshEngines: Engines = {
  open: (limits) => Session.open(limits),
  close: (session) => session.close(),
};

/** What an engine has read leaves holes in its memory: it is not kept for ever. */
const MOST_USES = 250;

/**
 * Has the next request's engine ready: to open one and to close it takes longer than most requests. One
 * in which nothing was done but reading is as good as a new one.
 */
export class ReadyEngines implements Engines {
  #next: { readonly limits: EngineLimits; readonly session: Promise<Session> } | null = null;

  #uses = 0;
  #lent = 0;

  async open(limits: EngineLimits): Promise<Session> {
    this.#lent += 1;
    try {
      return await this.#take(limits);
    } catch (error) {
      this.#lent -= 1;
      throw error;
    }
  }

  async #take(limits: EngineLimits): Promise<Session> {
    const next = this.#next;
    this.#next = null;
    if (!next) return Session.open(limits);
    const session = await next.session;
    if (sameLimits(next.limits, limits)) return session;
    session.close();
    return Session.open(limits);
  }

  /** Once the answer is on its way: nobody waits for this. */
  close(session: Session): void {
    const { limits } = session;
    this.#lent -= 1;
    if (session.isAsOpened && !this.#next && (this.#uses += 1) < MOST_USES) {
      this.#next = { limits, session: Promise.resolve(session) };
      return;
    }
    this.#uses = 0;
    setImmediate(() => {
      session.close();
      // What was left unread of a result holds on to its engine, all its memory included, until it is
      // collected: of a small heap that would be long after the limit is reached.
      globalThis.gc?.();
      // One that is in use serves again: with another beside it, each would be closed for the other.
      if (this.#next || this.#lent > 0) return;
      this.#next = { limits, session: Session.open(limits) };
      // Whatever keeps it from opening is told to whoever needs it.
      this.#next.session.catch(() => undefined);
    });
  }
}

function sameLimits(a: EngineLimits, b: EngineLimits): boolean {
  return (
    a.memoryBytes === b.memoryBytes &&
    a.threads === b.threads &&
    a.scratchDir === b.scratchDir &&
    a.scratchBytes === b.scratchBytes
  );
}
