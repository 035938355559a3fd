// Where a group goes on in a lite topic, under the names of the official Node.js client.
import { rocketmq } from "@cometmq/proto";
import { ClientError } from "./client-error.ts";

const { Policy } = rocketmq.v2.OffsetOption;

/** Where a group goes on in a lite topic when it is subscribed to. */
export class OffsetOption {
  /** Where the group has come to, as without an option. */
  static readonly LAST_OFFSET: OffsetOption = new OffsetOption({ policy: Policy.LAST });
  /** At the oldest message. */
  static readonly MIN_OFFSET: OffsetOption = new OffsetOption({ policy: Policy.MIN });
  /** Behind the newest message. */
  static readonly MAX_OFFSET: OffsetOption = new OffsetOption({ policy: Policy.MAX });
  readonly #message: rocketmq.v2.IOffsetOption;

  private constructor(message: rocketmq.v2.IOffsetOption) {
    this.#message = message;
  }

  /** At a queue offset, as messages have it. Throws ClientError BAD_OPTION below 0. */
  static ofOffset(offset: number): OffsetOption {
    return new OffsetOption({ offset: checked("offset", offset) });
  }

  /** At the last `count` messages. Throws ClientError BAD_OPTION below 0. */
  static ofTailN(count: number): OffsetOption {
    return new OffsetOption({ tailN: checked("tailN", count) });
  }

  /** At the first message stored at `time` or later, a date or milliseconds since 1970. Throws ClientError BAD_OPTION. */
  static ofTimestamp(time: Date | number): OffsetOption {
    const ms = typeof time === "number" ? time : time.getTime();
    return new OffsetOption({ timestamp: checked("timestamp", ms) });
  }

  /** As it stands in a request. */
  toMessage(): rocketmq.v2.IOffsetOption {
    return this.#message;
  }
}

function checked(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new ClientError("BAD_OPTION", `${name} must be a whole number from 0, got ${value}`);
}
