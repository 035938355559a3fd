// What ends a command without an answer, or with half of one, and with which exit code.
import type { Answer } from "./answer.ts";

/** The command could not be done: exit code 1. The message says what was wrong and what to type. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
}

/** Nobody answered where somebody should be: asking there again at once is of no use. */
export class UnreachableFailure extends CommandFailure {}

/** No NameServer knows the topic. */
export class NoRouteFailure extends CommandFailure {}

/** Part of the command was done, which `answer` shows, and part was not, which the message says: exit code 1. */
export class PartialFailure extends CommandFailure {
  readonly answer: Answer;

  constructor(message: string, answer: Answer) {
    super(message);
    this.answer = answer;
  }
}

/** The command line makes no sense: exit code 2. */
export class UsageFailure extends Error {
  override readonly name = "UsageFailure";
}
