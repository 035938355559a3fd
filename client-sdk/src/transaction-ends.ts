// Tells brokers how transactions ended: when the application says so, and when a broker asks about one that nobody has
// settled.
import { messagingService, type rocketmq } from "@cometmq/proto";
import type { BrokerLink } from "./broker-link.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import { MessageView } from "./message-view.ts";
import type { SendReceipt } from "./send-receipt.ts";
import { type TransactionChecker, TransactionResolution } from "./transaction.ts";
import { readReceiveFrame } from "./wire/receive-response.ts";

/** The orphaned message and what names its transaction, as a broker sends them. */
export type OrphanCommand = rocketmq.v2.IRecoverOrphanedTransactionCommand;

interface End {
  readonly topic: string;
  readonly messageId: string;
  readonly transactionId: string;
  readonly resolution: TransactionResolution;
  readonly source: number;
}

const sourceClient = 1;
const sourceServerCheck = 2;
/** No master is there now: tried again until the deadline. */
const absenceCodes: ReadonlySet<string> = new Set(["UNREACHABLE", "TIMEOUT", "HA_NOT_AVAILABLE"]);
const absenceDelayMs = 100;
const attemptsMax = 3;

const { EndTransaction, ReceiveMessage } = messagingService.methods;

/** The ends of a producer's transactions. */
export class TransactionEnds {
  readonly #core: ClientCore;
  readonly #checker: TransactionChecker | undefined;
  readonly #timeoutMs: number;

  /** `timeoutMs`: until an end has been told, or fails. */
  constructor(options: {
    readonly core: ClientCore;
    readonly checker: TransactionChecker | undefined;
    readonly timeoutMs: number;
  }) {
    this.#core = options.core;
    this.#checker = options.checker;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Tells the broker of the send, or who has taken over from it. Told again until it has answered: that does no harm. */
  async end(receipt: SendReceipt, resolution: TransactionResolution): Promise<void> {
    const { messageId, transactionId, messageQueue } = receipt;
    const { topic, broker } = messageQueue;
    const end = { topic, messageId, transactionId, resolution, source: sourceClient };
    const endMs = Date.now() + this.#timeoutMs;
    for (let troubles = 0; ; ) {
      const address = this.#core.addressOf(topic, broker.name, broker.endpoints);
      const link = this.#core.link(address);
      try {
        await this.#tell(link, end);
        return link.noteSuccess();
      } catch (error) {
        this.#core.reportFailure(link, error);
        if (!(error instanceof ClientError) || !error.retryable) throw error;
        if (!absenceCodes.has(error.code) && ++troubles >= attemptsMax) throw error;
        if (Date.now() >= endMs || this.#core.closing.aborted) throw error;
        this.#core.routeDoubted();
        await this.#core.links.changed.wait(absenceDelayMs, this.#core.closing);
      }
    }
  }

  /** Asks the application about an orphan, and tells the broker that has asked. Never rejects: the broker asks again. */
  async recover(link: BrokerLink, command: OrphanCommand): Promise<void> {
    const { logger } = this.#core.options;
    const transactionId = command.transactionId ?? "";
    try {
      const message = orphanOf(link, command);
      if (this.#checker === undefined) {
        logger.warn("asked about a transaction, but there is no checker", message.messageId);
        return;
      }
      const resolution = await this.#checker.check(message);
      if (resolution === null || resolution === 0) return;
      const { topic, messageId } = message;
      const source = sourceServerCheck;
      await this.#tell(link, { topic, messageId, transactionId, resolution, source });
    } catch (error) {
      logger.warn("a transaction was not settled", transactionId, toError(error).message);
    }
  }

  async #tell(link: BrokerLink, end: End): Promise<void> {
    const { topic } = end;
    const request = EndTransaction.request.encode({ ...end, topic: this.#core.resource(topic) });
    const timeoutMs = this.#core.options.requestTimeoutMs;
    const bytes = await link.channel.unary(EndTransaction.path, request, { timeoutMs, topic });
    const place = { address: link.channel.address, topic };
    const error = statusError(
      EndTransaction.response.decode(bytes).status,
      "EndTransaction",
      place,
    );
    if (error !== undefined) throw error;
  }
}

function orphanOf(link: BrokerLink, { message }: OrphanCommand): MessageView {
  const bytes = ReceiveMessage.response.encode({ message: message ?? {} });
  const frame = readReceiveFrame(Buffer.from(bytes));
  if (frame.kind !== "message") throw new ClientError("PROTOCOL", "the question has no message");
  return new MessageView(frame.message, {
    endpoints: link.channel.endpoints,
    brokerName: "",
    invisibleMs: undefined,
    deliveredAt: undefined,
    decodedAt: new Date(),
  });
}
