/**
 * A reason why the server, or a command, cannot start that somebody can do something about: its
 * message says what, and is told as it is, without a stack.
 */
export class CannotStart extends Error {
  override readonly name: string = 'CannotStart';
}
