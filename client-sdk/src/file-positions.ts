// Positions in a file, for a consumer that is alone with them: replaced as a whole, so that a crash leaves the old ones
// or the new ones.
import { open, readFile, rename } from "node:fs/promises";
import { ClientError, toError } from "./client-error.ts";
import type { PositionStore } from "./position-store.ts";
import { type QueuePosition, queueKey, type TopicQueue } from "./topic-queue.ts";

const formatVersion = 1;

interface FileContent {
  readonly version: number;
  readonly consumerGroup: string;
  readonly positions: readonly (TopicQueue & { readonly offset: number })[];
}

/** The positions of one consumer. One process at a time. */
export class FilePositions implements PositionStore {
  readonly #path: string;
  readonly #consumerGroup: string;
  readonly #positions = new Map<string, QueuePosition>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, consumerGroup: string) {
    this.#path = path;
    this.#consumerGroup = consumerGroup;
  }

  /**
   * Reads the file; one that is not there is empty. Rejects with BAD_OPTION when it is none of these files or of another
   * group: to begin anew without a word would lose or repeat messages.
   */
  static async open(path: string, consumerGroup: string): Promise<FilePositions> {
    const positions = new FilePositions(path, consumerGroup);
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if (isMissing(error)) return positions;
      throw unusable(path, toError(error).message, error);
    }
    positions.#take(text);
    return positions;
  }

  load(queue: TopicQueue): Promise<number | undefined> {
    return Promise.resolve(this.#positions.get(queueKey(queue))?.offset);
  }

  save(positions: readonly QueuePosition[]): Promise<void> {
    for (const position of positions) this.#positions.set(queueKey(position.queue), position);
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => {});
    return written;
  }

  #take(text: string): void {
    let content: Partial<FileContent>;
    try {
      content = JSON.parse(text) as Partial<FileContent>;
    } catch (error) {
      throw unusable(this.#path, toError(error).message, error);
    }
    const { version, consumerGroup, positions } = content;
    if (version !== formatVersion || !Array.isArray(positions)) {
      throw unusable(this.#path, `it is no file of positions of version ${formatVersion}`);
    }
    if (consumerGroup !== this.#consumerGroup) {
      throw unusable(this.#path, `it is that of group ${JSON.stringify(consumerGroup)}`);
    }
    for (const { topic, brokerName, queueId, offset } of positions as FileContent["positions"]) {
      if (!Number.isSafeInteger(offset) || offset < 0) {
        throw unusable(this.#path, `${JSON.stringify(offset)} is no offset`);
      }
      const queue = { topic, brokerName, queueId };
      this.#positions.set(queueKey(queue), { queue, offset });
    }
  }

  async #write(): Promise<void> {
    const positions = [...this.#positions.values()].map(({ queue, offset }) => ({
      ...queue,
      offset,
    }));
    const content: FileContent = {
      version: formatVersion,
      consumerGroup: this.#consumerGroup,
      positions,
    };
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, "w");
    try {
      await file.writeFile(`${JSON.stringify(content, undefined, 2)}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#path);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function unusable(path: string, why: string, cause?: unknown): ClientError {
  return new ClientError("BAD_OPTION", `positionFile ${path} cannot be used: ${why}`, { cause });
}
