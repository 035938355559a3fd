// Messages of a bidirectional call that its handler has not read yet.

/** One message as it came. */
export interface InboxMessage {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

/** A queue with one reader. Its bound is flow control: `onRead` hears when bytes have left it. */
export class Inbox implements AsyncIterable<Uint8Array> {
  readonly #inflate: (message: InboxMessage) => Promise<Uint8Array>;
  readonly #onRead: () => void;
  #messages: InboxMessage[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  /** Bytes not read. */
  size = 0;

  constructor(options: {
    readonly inflate: (message: InboxMessage) => Promise<Uint8Array>;
    readonly onRead: () => void;
  }) {
    this.#inflate = options.inflate;
    this.#onRead = options.onRead;
  }

  push(message: InboxMessage): void {
    if (this.#ended) return;
    this.#messages.push(message);
    this.size += message.bytes.length;
    this.#wake?.();
  }

  /** No more messages come; those here can still be read. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Drops what is here and ends. */
  clear(): void {
    this.#messages = [];
    this.size = 0;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        this.size -= message.bytes.length;
        this.#onRead();
        yield message.compressed ? await this.#inflate(message) : message.bytes;
        continue;
      }
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
