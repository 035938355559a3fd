// A client of a consumer group, and which lite topics it wants. Pure.
import { PollQueue } from "../polls.ts";
import { ReadyLiteGroups } from "./ready-lite-groups.ts";

/** What a client has subscribed to. It lives in memory only: clients say it again every 30 seconds. */
export class LiteClient {
  readonly id: string;
  /** Names by their hash. */
  readonly topics: Map<number, string> = new Map();
  /** Lite topics that may have something for it. */
  readonly ready: ReadyLiteGroups = new ReadyLiteGroups();
  readonly polls: PollQueue = new PollQueue();
  /** Of the newest subscription it has sent; undefined when it counts none. */
  version: number | undefined;

  constructor(id: string) {
    this.id = id;
  }
}
