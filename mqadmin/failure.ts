// What ends a command without an answer, and with which exit code.

/** The command could not be done: exit code 1. The message says what was wrong and what to type. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
}

/** The command line makes no sense: exit code 2. */
export class UsageFailure extends Error {
  override readonly name = "UsageFailure";
}
