import type { Principal } from '../principal.js';
import { token } from '../token.js';

/** For what outlives a request, such as a stream of events: tells when its caller may no longer be in. */
export interface CredentialWatch {
  /**
   * Calls `onEnded` once, within a second of the key, token or session ending or its user being
   * disabled, on whichever replica that was done.
   * @returns stops watching; call it when the stream ends
   */
  watch(principal: Principal, onEnded: () => void): () => void;
}

export const CREDENTIAL_WATCH = token<CredentialWatch>('CREDENTIAL_WATCH');
